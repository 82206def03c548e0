package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// DefaultRetain is how long events are kept where Options say nothing.
const DefaultRetain = 30 * 24 * time.Hour

// outboxMax is how many events wait in the outbox before their segment is
// synced to disk and the outbox emptied.
const outboxMax = 128

// Options of a state directory.
type Options struct {
	Dir    string        // the state directory; made if missing, 0700
	Retain time.Duration // of events; 0 is DefaultRetain
	// Socket is the control socket the holder of the state listens on ("" if
	// it does not), told to whoever finds the state held.
	Socket string
	// RunDir, if not empty, holds a second lock named for Fleet and Node, so
	// that two state directories never drive one host's tenants at a time.
	RunDir string
	Fleet  string
	Node   string
}

// Bolt is the store in a state directory.
type Bolt struct {
	db         *bolt.DB
	locks      []*lock
	controller string
	fresh      bool

	mu   sync.Mutex // guards segs and seq; Events may be called beside the loop
	segs *segments
	seq  uint64   // number of the newest event
	held int      // events in the outbox
	late []Logged // committed, and not yet in a segment because it could not be written
}

// Open takes the locks of a state directory and opens its journal. A state that
// another process holds is a *HeldError in a Problem whose hint says what to run.
func Open(o Options) (s *Bolt, err error) {
	if o.Retain <= 0 {
		o.Retain = DefaultRetain
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	s = &Bolt{}
	defer func() {
		if err != nil {
			s.Close()
			s = nil
		}
	}()
	if s.locks, err = takeLocks(o); err != nil {
		return s, err
	}
	if s.controller, err = controllerID(o.Dir); err != nil {
		return s, err
	}
	s.db, err = bolt.Open(filepath.Join(o.Dir, "journal.db"), 0o600, &bolt.Options{
		Timeout: time.Second, FreelistType: bolt.FreelistMapType, NoStatistics: true,
	})
	if err != nil {
		return s, observed.Wrap("open journal", o.Dir, observed.Refused, err,
			"the file journal.db is damaged or held; restore it from a copy, or move it away: with an empty journal nothing new is started until you say adopt")
	}
	if s.segs, err = openSegments(filepath.Join(o.Dir, "events"), o.Retain); err != nil {
		return s, fmt.Errorf("open event log: %w", err)
	}
	if err := s.db.Update(s.prepare); err != nil {
		return s, fmt.Errorf("open journal %s: %w", o.Dir, err)
	}
	if err := s.replay(); err != nil {
		return s, fmt.Errorf("replay events: %w", err)
	}
	return s, nil
}

// prepare makes the buckets, checks the format and reads the event number.
func (s *Bolt) prepare(tx *bolt.Tx) error {
	s.fresh = tx.Bucket([]byte(Meta)) == nil
	for _, b := range buckets {
		if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
			return err
		}
	}
	if err := upgrade(tx, s.fresh); err != nil {
		return err
	}
	if raw := tx.Bucket([]byte(Meta)).Get([]byte("seq")); raw != nil {
		return json.Unmarshal(raw, &s.seq)
	}
	return nil
}

// replay appends to the segments what a crash kept out of them.
func (s *Bolt) replay() error {
	last, err := s.segs.lastSeq()
	if err != nil {
		return err
	}
	var missing []Logged
	err = s.Each(outbox, func(_ string, v []byte) error {
		var e Logged
		if err := json.Unmarshal(v, &e); err != nil {
			return err
		}
		s.held++
		if e.Seq > last {
			missing = append(missing, e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.segs.append(missing)
}

// Controller is the id made with the state directory.
func (s *Bolt) Controller() string { return s.controller }

// Commit implements Store. The events are first in the outbox of the same
// transaction, and then in a segment.
func (s *Bolt) Commit(tx Tx) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return ErrClosed
	}
	flush := s.held+len(tx.Events) > outboxMax && len(s.late) == 0
	if flush {
		if err := s.segs.sync(); err != nil {
			return fmt.Errorf("sync event log: %w", err)
		}
	}
	logged := make([]Logged, len(tx.Events))
	for i, e := range tx.Events {
		logged[i] = Logged{Seq: s.seq + uint64(i) + 1, Event: e}
	}
	err := s.db.Update(func(t *bolt.Tx) error {
		if flush {
			if err := clearBucket(t, outbox); err != nil {
				return err
			}
		}
		if err := writeEvents(t, logged); err != nil {
			return err
		}
		return writePuts(t, tx.Puts)
	})
	if err != nil {
		return fmt.Errorf("commit journal: %w", err)
	}
	if flush {
		s.held = 0
	}
	s.seq += uint64(len(logged))
	s.held += len(logged)
	s.late = append(s.late, logged...)
	if err := s.segs.append(s.late); err != nil {
		return fmt.Errorf("append events: %w", err)
	}
	s.late = nil
	return nil
}

func clearBucket(t *bolt.Tx, b Bucket) error {
	if err := t.DeleteBucket([]byte(b)); err != nil {
		return err
	}
	_, err := t.CreateBucket([]byte(b))
	return err
}

func writeEvents(t *bolt.Tx, events []Logged) error {
	if len(events) == 0 {
		return nil
	}
	box := t.Bucket([]byte(outbox))
	for i := range events {
		data, err := json.Marshal(&events[i])
		if err != nil {
			return err
		}
		if err := box.Put(binary.BigEndian.AppendUint64(nil, events[i].Seq), data); err != nil {
			return err
		}
	}
	seq, err := json.Marshal(events[len(events)-1].Seq)
	if err != nil {
		return err
	}
	return t.Bucket([]byte(Meta)).Put([]byte("seq"), seq)
}

func writePuts(t *bolt.Tx, puts []Put) error {
	for _, p := range puts {
		b := t.Bucket([]byte(p.Bucket))
		if b == nil {
			return fmt.Errorf("unknown bucket %q", p.Bucket)
		}
		var err error
		if p.Value == nil {
			err = b.Delete([]byte(p.Key))
		} else {
			err = b.Put([]byte(p.Key), p.Value)
		}
		if err != nil {
			return fmt.Errorf("%s/%s: %w", p.Bucket, p.Key, err)
		}
	}
	return nil
}

// Get implements Store.
func (s *Bolt) Get(b Bucket, key string) (v []byte, err error) {
	if s.db == nil {
		return nil, ErrClosed
	}
	err = s.db.View(func(t *bolt.Tx) error {
		v = bytes.Clone(t.Bucket([]byte(b)).Get([]byte(key)))
		return nil
	})
	return v, err
}

// Each implements Store.
func (s *Bolt) Each(b Bucket, fn func(string, []byte) error) error {
	if s.db == nil {
		return ErrClosed
	}
	return s.db.View(func(t *bolt.Tx) error {
		return t.Bucket([]byte(b)).ForEach(func(k, v []byte) error { return fn(string(k), v) })
	})
}

// Events implements Store.
func (s *Bolt) Events(q Query) ([]Logged, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.segs == nil {
		return nil, ErrClosed
	}
	return s.segs.events(q)
}

// GiveBack implements Store. The pages of the journal's file that were read count
// as the process's, although what they hold is in memory in another form. Those
// that are needed again are mapped again.
func (s *Bolt) GiveBack() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return ErrClosed
	}
	return s.db.View(func(t *bolt.Tx) error { // during it the mapping stays where it is
		_, _, errno := unix.Syscall(unix.SYS_MADVISE, s.db.Info().Data, uintptr(t.Size()), unix.MADV_DONTNEED)
		if errno != 0 {
			return fmt.Errorf("give back the pages of the journal: %w", errno)
		}
		return nil
	})
}

// Fresh implements Store.
func (s *Bolt) Fresh() bool { return s.fresh }

// Close syncs the event log, closes the journal and lets go of the locks.
func (s *Bolt) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.segs != nil {
		errs = append(errs, s.segs.close())
		s.segs = nil
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
		s.db = nil
	}
	for _, l := range s.locks {
		l.release()
	}
	s.locks = nil
	return errors.Join(errs...)
}
