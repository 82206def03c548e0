package journal

import (
	"bytes"
	"maps"
	"slices"
	"sync"
)

// Memory is a store without a disk. Crash makes a coming commit fail as a
// killed process would see it; Reopen gives the store the next process finds.
type Memory struct {
	mu      sync.Mutex // guards all below; Events may be called beside the loop
	data    map[Bucket]map[string][]byte
	events  []Logged
	fresh   bool
	closed  bool
	commits int
	crash   map[int]When
}

// When a crash happens, seen from the commit it is asked for.
type When int

// Before: nothing of the commit is durable. After: all of it is, and the
// process never heard.
const (
	Before When = iota + 1
	After
)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	m := &Memory{data: map[Bucket]map[string][]byte{}, fresh: true}
	for _, b := range buckets {
		m.data[b] = map[string][]byte{}
	}
	return m
}

// Crash makes the n-th commit from now (1 is the next) fail.
func (m *Memory) Crash(n int, when When) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crash = map[int]When{m.commits + n: when}
}

// Commits returns how many commits were tried since the store was opened.
func (m *Memory) Commits() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commits
}

// Reopen closes m and returns a store on what was durable in it.
func (m *Memory) Reopen() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	next := &Memory{data: map[Bucket]map[string][]byte{}, events: slices.Clone(m.events)}
	for b, kv := range m.data {
		next.data[b] = maps.Clone(kv)
	}
	next.fresh = len(next.events) == 0 && len(next.data[Meta]) == 0
	return next
}

// Commit applies tx, unless a crash was asked for.
func (m *Memory) Commit(tx Tx) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.commits++
	when := m.crash[m.commits]
	if when == Before {
		m.closed = true
		return ErrClosed
	}
	for _, p := range tx.Puts {
		if p.Value == nil {
			delete(m.data[p.Bucket], p.Key)
			continue
		}
		m.data[p.Bucket][p.Key] = bytes.Clone(p.Value)
	}
	for _, e := range tx.Events {
		m.events = append(m.events, Logged{Seq: uint64(len(m.events)) + 1, Event: e})
	}
	if when == After {
		m.closed = true
		return ErrClosed
	}
	return nil
}

// Get implements Store.
func (m *Memory) Get(b Bucket, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	return bytes.Clone(m.data[b][key]), nil
}

// Each implements Store.
func (m *Memory) Each(b Bucket, fn func(string, []byte) error) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	kv := maps.Clone(m.data[b])
	m.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(kv)) {
		if err := fn(k, kv[k]); err != nil {
			return err
		}
	}
	return nil
}

// Events implements Store.
func (m *Memory) Events(q Query) ([]Logged, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	var out []Logged
	for i := range m.events {
		if q.wants(&m.events[i]) {
			out = append(out, m.events[i])
		}
	}
	return q.trim(out), nil
}

// GiveBack implements Store: it holds nothing else.
func (m *Memory) GiveBack() error { return nil }

// Fresh implements Store.
func (m *Memory) Fresh() bool { return m.fresh }

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
