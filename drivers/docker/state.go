package docker

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// state is what the engine cannot keep for us.
type state struct {
	dir string
	key []byte // of the digests of host inputs

	mu   sync.Mutex // guards the files and sets below
	sets map[string]map[string]bool
}

// The sets of a state, each a file of sorted JSON strings.
const (
	// setPulled are the images ("repository@digest") that were pulled by us:
	// the only ones we ever remove.
	setPulled = "pulled.json"
	// setRouted are ids of containers that are routed though no restart policy
	// says so: jobs, those with `restart: never`, and those we stopped. A lost
	// entry makes the caller say it once more.
	setRouted = "routed.json"
)

const inputsKey = "inputs.key"

func openState(dir string) (*state, error) {
	s := &state{dir: dir, sets: map[string]map[string]bool{}}
	for _, name := range []string{setPulled, setRouted} {
		set, err := readSet(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		s.sets[name] = set
	}
	key, err := os.ReadFile(filepath.Join(dir, inputsKey))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(key) < 32 {
		key = make([]byte, 32)
		rand.Read(key) // never fails (crypto/rand)
		err = writeFile(filepath.Join(dir, inputsKey), key)
	}
	if err != nil {
		return nil, fmt.Errorf("open key of host inputs: %w", err)
	}
	s.key = key
	return s, nil
}

func readSet(path string) (map[string]bool, error) {
	set := map[string]bool{}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return set, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state of the docker runtime: %w", err)
	}
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return nil, fmt.Errorf("read state of the docker runtime %s: %w", path, err)
	}
	for _, name := range names {
		set[name] = true
	}
	return set, nil
}

// has says whether the set holds the name.
func (s *state) has(set, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sets[set][name]
}

// all returns the set, sorted.
func (s *state) all(set string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sortedLocked(set)
}

func (s *state) sortedLocked(set string) []string {
	names := make([]string, 0, len(s.sets[set]))
	for name := range s.sets[set] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// mark puts the name in the set or takes it out, on disk before it returns.
func (s *state) mark(set, name string, in bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets[set][name] == in {
		return nil
	}
	if in {
		s.sets[set][name] = true
	} else {
		delete(s.sets[set], name)
	}
	b, err := json.Marshal(s.sortedLocked(set))
	if err == nil {
		err = writeFile(filepath.Join(s.dir, set), b)
	}
	if err != nil {
		return fmt.Errorf("write state of the docker runtime: %w", err)
	}
	return nil
}

// writeFile replaces a file whole: the old or the new content is there after a
// crash, never half of one.
func writeFile(path string, content []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}
