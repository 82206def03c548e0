package routes

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The log is kept twice, with the same content, so that a file which has gone
// bad costs nothing: the other one has every acknowledged change.
var fileNames = [2]string{"table.a", "table.b"}

// The log is written anew when it is this many times as long as it would be,
// and longer than slack bytes. 10,000 tenants are some 4 MB.
const (
	growth = 4
	slack  = 1 << 20
)

// journal is the open log.
type journal struct {
	dir   string
	files [2]*os.File
	size  int64 // of each file
	fresh int64 // size after it was last written anew
	// stale says that the files may hold a record that is not in force,
	// because writing it failed half way.
	stale bool
}

// kept is what the log said when it was opened.
type kept struct {
	tenants    map[string]state
	controller string
	last       uint64
	damaged    string
	rewrite    bool // the files differ, or end in half a line
}

func openJournal(dir string) (*journal, kept, error) {
	j := &journal{dir: dir}
	k, err := load(dir)
	if err != nil {
		return nil, k, err
	}
	if k.rewrite {
		return j, k, nil // the caller writes it anew, which opens the files
	}
	return j, k, j.open()
}

// load reads both copies and picks the better one: the whole copy that knows
// most, else the longest good beginning of any.
func load(dir string) (kept, error) {
	k := kept{tenants: make(map[string]state)}
	var copies []*copyOf
	for _, name := range fileNames {
		path := filepath.Join(dir, name)
		content, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			k.rewrite = true
			continue
		case err != nil: // a bad block reads as an error: the other copy counts
			copies = append(copies, &copyOf{path: path, corrupt: true})
			k.rewrite = true
			continue
		}
		c := parse(path, content)
		if c.format > format {
			return k, fmt.Errorf("read route table: %s has format %d, this version knows %d: run the newer reconcile-caddy", path, c.format, format)
		}
		copies = append(copies, c)
	}
	if len(copies) == 0 {
		return k, nil
	}
	best := slices.MaxFunc(copies, better)
	for _, c := range copies {
		if c.corrupt {
			setAside(c)
		}
		if c.corrupt || !bytes.Equal(c.content, best.content) || !bytes.HasSuffix(c.content, []byte("\n")) {
			k.rewrite = true
		}
	}
	k.apply(best.records)
	if best.corrupt {
		k.last += afterLoss
		k.damaged = fmt.Sprintf("both copies of the route table in %s were corrupt: the %d tenants of the last good part are served", dir, len(k.tenants))
	}
	return k, nil
}

// better orders copies: whole ones first, then by how much they know.
func better(a, b *copyOf) int {
	switch {
	case a.corrupt != b.corrupt && b.corrupt:
		return 1
	case a.corrupt != b.corrupt:
		return -1
	case a.last() != b.last():
		if a.last() > b.last() {
			return 1
		}
		return -1
	}
	return len(a.records) - len(b.records)
}

// setAside keeps a corrupt file for a person to look at.
func setAside(c *copyOf) {
	_ = os.Rename(c.path, c.path+".corrupt-"+time.Now().UTC().Format("20060102T150405")) // rewritten either way
}

func (k *kept) apply(records []record) {
	for _, r := range records {
		k.last = max(k.last, r.Last)
		switch {
		case r.Table != nil:
			k.controller, k.damaged = r.Table.Controller, r.Table.Damaged
		case r.State != nil:
			k.tenants[r.Tenant] = *r.State
			k.last = max(k.last, r.State.Revision)
		default:
			delete(k.tenants, r.Tenant)
		}
	}
}

func (j *journal) open() error {
	for i, name := range fileNames {
		f, err := os.OpenFile(filepath.Join(j.dir, name), os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return err
		}
		j.files[i], j.size, j.fresh = f, info.Size(), info.Size()
	}
	return nil
}

// append makes one record durable in both files, or in none that counts.
func (j *journal) append(r record) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	for _, f := range j.files {
		if _, err := f.Write(line); err != nil {
			return j.undo(err)
		}
	}
	other := make(chan error, 1)
	go func() { other <- j.files[1].Sync() }() // side by side they share the disk's commit
	if err := errors.Join(j.files[0].Sync(), <-other); err != nil {
		return j.undo(err)
	}
	j.size += int64(len(line))
	return nil
}

// undo takes a half written record out again; truncating works on a full disk.
// The next change writes the log anew before it is made.
func (j *journal) undo(cause error) error {
	j.stale = true
	for _, f := range j.files {
		cause = errors.Join(cause, f.Truncate(j.size))
		_ = f.Sync() // stale already
	}
	return cause
}

func (j *journal) grown() bool { return j.size > growth*j.fresh+slack }

// rewrite replaces both files, one after the other: one is whole at any time.
func (j *journal) rewrite(records []record) error {
	var content []byte
	for _, r := range slices.Concat([]record{{Format: format}}, records) {
		line, err := r.line()
		if err != nil {
			return err
		}
		content = append(content, line...)
	}
	for i, name := range fileNames {
		f, err := replace(filepath.Join(j.dir, name), content)
		if err != nil {
			j.stale = j.stale || i > 0 // the files differ now
			return err
		}
		if j.files[i] != nil {
			_ = j.files[i].Close() // replaced, nothing unsynced in it counts
		}
		j.files[i] = f
	}
	j.size, j.fresh, j.stale = int64(len(content)), int64(len(content)), false
	return nil
}

// replace writes a file beside path, makes it durable and renames it over path.
func replace(path string, content []byte) (*os.File, error) {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), ignoreAbsent(os.Remove(path+".new")))
	}
	return f, nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (j *journal) close() error {
	var err error
	for _, f := range j.files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
