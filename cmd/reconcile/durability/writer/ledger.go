package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// ledger is a file of one number a line.
type ledger struct {
	dir  string
	gate sync.Mutex // guards frozen; taken before mu

	mu   sync.Mutex // guards file and size; held while the ledger is at rest
	file *os.File
	size int64 // of the whole lines in it

	read  sync.RWMutex // guards lines, which are read at rest too
	lines []string

	frozen bool
}

// open reads the ledger of a folder, and makes it if there is none. Two writers
// of one folder are a mistake somebody else made: the second refuses.
func open(dir string) (*ledger, error) {
	f, err := os.OpenFile(filepath.Join(dir, "ledger"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("open ledger: another writer is at work on it: %w", err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	// What a crash left of a last line was never acknowledged.
	l := &ledger{dir: dir, file: f, size: int64(bytes.LastIndexByte(b, '\n') + 1)}
	if err := f.Truncate(l.size); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	for line := range strings.Lines(string(b[:l.size])) {
		l.lines = append(l.lines, strings.TrimSuffix(line, "\n"))
	}
	if err := l.unseal(); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	// The name of a new file is on disk before its first number is.
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return l, errors.Join(d.Sync(), d.Close())
}

// add returns when the numbers are on disk.
func (l *ledger) add(numbers ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.Join(numbers, "\n") + "\n"
	_, err := l.file.WriteAt([]byte(text), l.size)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		// Half a line must not become part of the next one.
		return errors.Join(err, l.file.Truncate(l.size))
	}
	l.size += int64(len(text))
	l.read.Lock()
	defer l.read.Unlock()
	l.lines = append(l.lines, numbers...)
	return nil
}

func (l *ledger) since(n int) []string {
	l.read.RLock()
	defer l.read.RUnlock()
	return l.lines[min(max(n, 0), len(l.lines)):]
}

// close waits for a write under way. A ledger at rest has none.
func (l *ledger) close() error {
	l.gate.Lock()
	defer l.gate.Unlock()
	if !l.frozen {
		l.mu.Lock()
		defer l.mu.Unlock()
	}
	return l.file.Close()
}
