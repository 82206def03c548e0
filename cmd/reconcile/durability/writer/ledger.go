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
	mu    sync.Mutex // guards the following
	file  *os.File
	size  int64 // of the whole lines in it
	lines []string
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
	l := &ledger{file: f, size: int64(bytes.LastIndexByte(b, '\n') + 1)}
	if err := f.Truncate(l.size); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	for line := range strings.Lines(string(b[:l.size])) {
		l.lines = append(l.lines, strings.TrimSuffix(line, "\n"))
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
	l.lines = append(l.lines, numbers...)
	return nil
}

func (l *ledger) since(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines[min(max(n, 0), len(l.lines)):]
}

func (l *ledger) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
