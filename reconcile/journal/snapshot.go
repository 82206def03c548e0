package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// ErrReadOnly says that a store can only be read.
var ErrReadOnly = errors.New("journal is only looked at")

// snapshotTries bounds how often a journal that is written at that moment is
// copied again.
const snapshotTries = 20

// Snapshot is what a state directory held at one moment. Taking and reading it
// needs no lock and writes nothing there, so it never disturbs a holder.
type Snapshot struct {
	*Bolt
	copied string // the temporary file
}

// OpenSnapshot copies the journal of dir to a temporary file and opens that.
// Where no journal was ever written the error is fs.ErrNotExist.
func OpenSnapshot(dir string) (s *Snapshot, err error) {
	s = &Snapshot{Bolt: &Bolt{segs: &segments{dir: filepath.Join(dir, "events")}}}
	defer func() {
		if err != nil {
			s.Close()
			s = nil
		}
	}()
	content, err := readStill(filepath.Join(dir, "journal.db"))
	if err != nil {
		return s, err
	}
	id, err := os.ReadFile(filepath.Join(dir, "controller"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("read controller id: %w", err)
	}
	s.controller = string(bytes.TrimSpace(id))
	f, err := os.CreateTemp("", "reconcile-journal-*") // 0600
	if err != nil {
		return s, fmt.Errorf("copy journal: %w", err)
	}
	s.copied = f.Name()
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return s, fmt.Errorf("copy journal: %w", err)
	}
	// A copy of ours, so that an older format can be brought up to date in it.
	s.db, err = bolt.Open(s.copied, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoStatistics: true, NoSync: true})
	if err != nil {
		return s, observed.Wrap("open journal", dir, observed.Refused, err, "the file journal.db is damaged; restore it from a copy")
	}
	if err := s.db.Update(s.prepare); err != nil {
		return s, fmt.Errorf("open journal %s: %w", dir, err)
	}
	return s, nil
}

// readStill returns the content of a bbolt file as of one transaction. bbolt
// never writes into a page that its meta pages (the first two) lead to: where
// those are the same before and after, what they lead to was not touched.
func readStill(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	meta := make([]byte, 2*os.Getpagesize())
	for range snapshotTries {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		content, err := io.ReadAll(f)
		if err != nil {
			return nil, err
		}
		if len(content) < len(meta) {
			return nil, fs.ErrNotExist // being made
		}
		if _, err := f.ReadAt(meta, 0); err != nil {
			return nil, err
		}
		if bytes.Equal(meta, content[:len(meta)]) {
			return content, nil
		}
	}
	return nil, observed.Wrap("read journal", path, observed.Transient, errors.New("it is written all the time"), "try again")
}

// Commit refuses: nothing is written.
func (s *Snapshot) Commit(Tx) error { return ErrReadOnly }

// Events returns logged events, of those written after the snapshot too.
func (s *Snapshot) Events(q Query) ([]Logged, error) {
	logged, err := s.Bolt.Events(q)
	if errors.Is(err, fs.ErrNotExist) {
		logged, err = nil, nil // no event was ever written
	}
	if err != nil {
		return nil, err
	}
	last, err := s.segs.lastSeq()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err = s.Each(outbox, func(_ string, v []byte) error {
		var e Logged
		if err := json.Unmarshal(v, &e); err != nil {
			return err
		}
		if e.Seq > last && q.wants(&e) {
			logged = append(logged, e)
		}
		return nil
	})
	return q.trim(logged), err
}

// Close removes the copy.
func (s *Snapshot) Close() error {
	err := s.Bolt.Close()
	if s.copied != "" {
		err = errors.Join(err, os.Remove(s.copied))
		s.copied = ""
	}
	return err
}

// HeldBy says who holds a state directory, nil if nobody does. It asks the kernel
// (proc(5): /proc/locks) and takes no lock itself, which could be in the way of
// one who wants to begin.
func HeldBy(dir string) *HeldError {
	path := filepath.Join(dir, "lock")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return nil
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return nil
	}
	// 1: FLOCK  ADVISORY  WRITE 4711 fe:01:1835018 0 EOF
	inode := ":" + strconv.FormatUint(st.Ino, 10)
	for line := range strings.Lines(string(locks)) {
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || f[3] != "WRITE" || !strings.HasSuffix(f[5], inode) {
			continue
		}
		held := &HeldError{Lock: path}
		// An unreadable holder is still a holder.
		_ = json.Unmarshal(text, &held.Holder)
		return held
	}
	return nil
}
