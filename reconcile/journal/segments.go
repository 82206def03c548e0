package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const day = "2006-01-02"

// segments are the event files, one a day, UTC. Lines are appended by one write
// each commit. A torn last line is cut off when the file is opened for writing
// and skipped by readers: the outbox holds its events.
type segments struct {
	dir    string
	retain time.Duration
	last   string // day of the open file
	file   *os.File
}

func openSegments(dir string, retain time.Duration) (*segments, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &segments{dir: dir, retain: retain}
	days, err := s.days()
	if err != nil {
		return nil, err
	}
	if len(days) > 0 {
		if err := s.open(days[len(days)-1]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// days lists the segments, oldest first.
func (s *segments) days() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".jsonl")
		if _, err := time.Parse(day, name); ok && err == nil {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (s *segments) path(d string) string { return filepath.Join(s.dir, d+".jsonl") }

// open makes d the segment that is written, and cuts a torn tail off it.
func (s *segments) open(d string) error {
	f, err := os.OpenFile(s.path(d), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := cutTorn(f); err != nil {
		f.Close()
		return fmt.Errorf("mend %s: %w", f.Name(), err)
	}
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.last = f, d
	return nil
}

// cutTorn truncates f after its last newline. An event line is far below the
// 64 KiB that are searched.
func cutTorn(f *os.File) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	tail := make([]byte, min(size, 64<<10))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return err
	}
	end := bytes.LastIndexByte(tail, '\n') + 1
	if end == len(tail) {
		return nil
	}
	return f.Truncate(size - int64(len(tail)-end))
}

// append writes events to the segment of the newest of them; days never go back.
func (s *segments) append(events []Logged) error {
	if len(events) == 0 {
		return nil
	}
	d := events[len(events)-1].Time.UTC().Format(day)
	if d > s.last {
		if err := s.sync(); err != nil {
			return err
		}
		if err := s.open(d); err != nil {
			return err
		}
		if err := s.prune(); err != nil {
			return err
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	for i := range events {
		if err := enc.Encode(&events[i]); err != nil {
			return err
		}
	}
	if _, err := s.file.Write(buf.Bytes()); err != nil {
		// What arrived of it is cut now, so that the next append starts a line.
		return errors.Join(err, cutTorn(s.file))
	}
	return nil
}

// prune removes the segments of days that ended more than retain before the
// open one.
func (s *segments) prune() error {
	now, err := time.Parse(day, s.last)
	if err != nil {
		return err
	}
	oldest := now.Add(-s.retain).Format(day)
	days, err := s.days()
	if err != nil {
		return err
	}
	for _, d := range days {
		if d < oldest {
			if err := os.Remove(s.path(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func (s *segments) sync() error {
	if s.file == nil {
		return nil
	}
	return s.file.Sync()
}

func (s *segments) close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Sync(), s.file.Close())
}

// lastSeq is the number of the newest event in the newest segment that has one.
func (s *segments) lastSeq() (uint64, error) {
	days, err := s.days()
	if err != nil {
		return 0, err
	}
	for _, d := range slices.Backward(days) {
		var last uint64
		err := s.read(d, func(e *Logged) { last = max(last, e.Seq) })
		if err != nil || last > 0 {
			return last, err
		}
	}
	return 0, nil
}

// read calls fn for each event of a day. A line that is no event is skipped.
func (s *segments) read(d string, fn func(*Logged)) error {
	f, err := os.Open(s.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // pruned meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return nil // what is in line is torn
		}
		if err != nil {
			return err
		}
		var e Logged
		if json.Unmarshal(line, &e) == nil && e.Seq > 0 {
			fn(&e)
		}
	}
}

// events answers q. Segments older than q asks for are not opened.
func (s *segments) events(q Query) ([]Logged, error) {
	days, err := s.days()
	if err != nil {
		return nil, err
	}
	since := ""
	if !q.Since.IsZero() {
		since = q.Since.UTC().Format(day)
	}
	var out []Logged
	for _, d := range slices.Backward(days) {
		if d < since {
			break
		}
		var part []Logged
		lowest := uint64(1)
		err := s.read(d, func(e *Logged) {
			if len(part) == 0 {
				lowest = e.Seq
			}
			if q.wants(e) {
				part = append(part, *e)
			}
		})
		if err != nil {
			return nil, err
		}
		out = append(part, out...)
		if q.Last > 0 && len(out) >= q.Last || q.After > 0 && lowest <= q.After {
			break
		}
	}
	return q.trim(out), nil
}
