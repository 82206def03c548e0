package dir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// markDir holds the marks, below the root.
const markDir = ".reconcile"

// mark is what is known of one dataset, and the proof that it is ours.
type mark struct {
	Format     int           `json:"format"` // 1
	ID         string        `json:"id"`
	Fleet      string        `json:"fleet"`
	Node       string        `json:"node"`
	Tenant     string        `json:"tenant"`
	Volume     string        `json:"volume"`
	Source     string        `json:"source,omitempty"`
	Slot       plans.Slot    `json:"slot,omitempty"`
	Role       observed.Role `json:"role"`
	Attempt    string        `json:"attempt,omitempty"`
	Generation string        `json:"generation,omitempty"`
	Origin     string        `json:"origin,omitempty"`
	Promoted   bool          `json:"promoted,omitempty"`
	Parallel   int           `json:"parallel,omitempty"` // files copied at a time
	Dir        string        `json:"dir,omitempty"`      // made by us for it alone; "" for an imported one
	Path       string        `json:"path"`               // of the data
	Mount      string        `json:"mount,omitempty"`    // point of the filesystem they were made on
	Ready      bool          `json:"ready"`
	Doomed     bool          `json:"doomed,omitempty"` // being destroyed
	Created    time.Time     `json:"created,omitzero"`
	Holds      []string      `json:"holds,omitempty"` // sorted
}

func (m mark) observed() observed.Dataset {
	o := observed.Dataset{
		ID: m.ID, Tenant: m.Tenant, Volume: m.Volume, Slot: m.Slot, Role: m.Role, Attempt: m.Attempt,
		Generation: m.Generation, Path: m.Path, Ready: m.Ready, Imported: m.Dir == "", Created: m.Created, Bytes: -1, Written: -1, Holds: m.Holds,
	}
	if !m.Promoted {
		o.Origin = m.Origin
	}
	if m.Doomed {
		o.Doomed, o.Ready, o.Role, o.Origin, o.Holds = true, false, observed.Discarded, "", nil
	}
	return o
}

// there says that the data are whole and in their place.
func (m mark) there() bool {
	if !m.Ready {
		return false
	}
	_, err := os.Lstat(m.Path)
	return !errors.Is(err, fs.ErrNotExist)
}

// hangs says that its origin must not go before it: a copy that is whole or under
// way. One that is being destroyed, or whose data are gone, needs nothing.
func (m mark) hangs() bool {
	return m.Origin != "" && !m.Promoted && !m.Doomed && (!m.Ready || m.there())
}

// usable refuses what has no data to read: half made, or gone, which is of the
// given class.
func (m mark) usable(op string, gone observed.Class) error {
	switch {
	case !m.Ready:
		return observed.Wrap(op, m.ID, observed.Conflict, errors.New("it is not whole"), "")
	case !m.there():
		return observed.Wrap(op, m.ID, gone, fmt.Errorf("its data in %s are not there any more", m.Path), "")
	}
	return nil
}

// mark derives identity and place of a dataset from the order, so that the same
// order meets the same dataset.
func (d *Driver) mark(want drivers.VolumeOrder, origin string) (mark, error) {
	parent, err := d.below(want.Volume.Source)
	if err != nil {
		return mark{}, err
	}
	if want.Volume.Import {
		parent = d.cfg.Root
	}
	first := want.Attempt
	if first == "" {
		first = "first"
	}
	what := string(want.Slot)
	if want.Role == observed.Origin || want.Role == observed.Rehearsal {
		what += "-" + string(want.Role)
	}
	id := strings.Join([]string{want.Tenant, want.Name, what, clean(first)}, ".")
	dir := filepath.Join(parent, id)
	return mark{
		Format: 1, ID: id, Fleet: d.cfg.Owner.Fleet, Node: d.cfg.Owner.Node, Tenant: want.Tenant, Volume: want.Name, Source: want.Volume.Source,
		Slot: want.Slot, Role: want.Role, Attempt: want.Attempt, Generation: want.Generation, Origin: origin,
		Parallel: want.Volume.Copy.Parallel, Dir: dir, Path: filepath.Join(dir, "data"),
	}, nil
}

// clean makes an attempt's id part of a file name.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, s)
}

func (d *Driver) markFile(id string) string {
	return filepath.Join(d.cfg.Root, markDir, id+".json")
}

// read returns the mark of a dataset of ours; fs.ErrNotExist if there is none.
func (d *Driver) read(id string) (mark, error) {
	m, err := d.load(id)
	if err == nil && !d.ours(m) {
		return mark{}, fmt.Errorf("dataset %q is of fleet %q: %w", id, m.Fleet, fs.ErrNotExist)
	}
	return m, err
}

// living returns the mark of a dataset of ours that is not being destroyed.
func (d *Driver) living(id string) (mark, error) {
	m, err := d.read(id)
	if err == nil && m.Doomed {
		return mark{}, fmt.Errorf("dataset %q is being destroyed: %w", id, fs.ErrNotExist)
	}
	return m, err
}

// load returns the mark of a dataset, whoever made it.
func (d *Driver) load(id string) (mark, error) {
	if id == "" || id != filepath.Base(id) {
		return mark{}, fmt.Errorf("dataset %q: %w", id, fs.ErrNotExist)
	}
	b, err := os.ReadFile(d.markFile(id))
	if err != nil {
		return mark{}, err
	}
	var m mark
	if err := json.Unmarshal(b, &m); err != nil {
		return mark{}, fmt.Errorf("read %s: %w", d.markFile(id), err)
	}
	return m, nil
}

// ours says that we made it, or one of us before.
func (d *Driver) ours(m mark) bool {
	return m.Fleet == d.cfg.Owner.Fleet && m.Node == d.cfg.Owner.Node
}

// marks returns all marks of ours, sorted by ID.
func (d *Driver) marks() ([]mark, error) {
	all, err := d.everyMark()
	return slices.DeleteFunc(all, func(m mark) bool { return !d.ours(m) }), err
}

// everyMark returns all marks there are, of whatever fleet, sorted by ID.
func (d *Driver) everyMark() ([]mark, error) {
	names, err := os.ReadDir(filepath.Join(d.cfg.Root, markDir))
	if err != nil {
		return nil, err
	}
	var out []mark
	for _, n := range names {
		id, ok := strings.CutSuffix(n.Name(), ".json")
		if !ok {
			continue
		}
		m, err := d.load(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // destroyed meanwhile by another fleet's reconcile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b mark) int { return strings.Compare(a.ID, b.ID) })
	standAlone(out)
	return out, nil
}

// standAlone takes as promoted what has inherited its own origin: all that was left
// to do of its promotion was to write that down.
func standAlone(marks []mark) {
	origin := map[string]string{}
	for _, m := range marks {
		origin[m.ID] = m.Origin
	}
	for i := range marks {
		if m := &marks[i]; m.Role != observed.Origin && m.Origin != "" && origin[m.Origin] == m.ID {
			m.Promoted = true
		}
	}
}

// write makes the mark durable: aside, synced, renamed, folder synced.
func (d *Driver) write(m mark) error {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	file := d.markFile(m.ID)
	f, err := os.OpenFile(file+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(file))
}

func (d *Driver) erase(m mark) error {
	if err := os.Remove(d.markFile(m.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Join(d.cfg.Root, markDir))
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// syncfs makes everything below path durable with one call, where an fsync for
// each of many small files would take minutes.
func syncfs(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &fs.PathError{Op: "syncfs", Path: path, Err: err}
	}
	return nil
}
