package process

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// output keeps what a command says in two files: log, and log.1 before it.
// Each is at most limit bytes. A disk that is full loses output and never
// stops the command.
type output struct {
	pipe *os.File // the command's end
	done chan struct{}

	mu    sync.Mutex // guards following
	dir   *os.File
	file  *os.File
	size  int64
	limit int64
}

func newOutput(dir *os.File, limit int64) (*output, error) {
	o := &output{dir: dir, limit: limit, done: make(chan struct{})}
	if err := o.open(); err != nil {
		return nil, err
	}
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o.pipe = out
	go func() {
		defer close(o.done)
		_, _ = io.Copy(o, in) // Write never fails
	}()
	return o, nil
}

func (o *output) open() error {
	fd, err := unix.Openat(int(o.dir.Fd()), logFile, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	o.file = os.NewFile(uintptr(fd), logFile)
	info, err := o.file.Stat()
	if err != nil {
		return err
	}
	o.size = info.Size()
	return nil
}

// Write keeps p, or loses it where that cannot be done.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size > 0 && o.size+int64(len(p)) > o.limit {
		if err := o.rotate(); err != nil {
			fmt.Fprintln(os.Stderr, "rotate log:", err)
		}
	}
	n, err := o.file.Write(p)
	o.size += int64(n)
	if err != nil && o.size > 0 {
		// Most likely the disk is full: the older half goes, for the newer.
		_ = unix.Unlinkat(int(o.dir.Fd()), oldLogFile, 0)
	}
	return len(p), nil
}

func (o *output) rotate() error {
	fd := int(o.dir.Fd())
	if err := unix.Renameat(fd, logFile, fd, oldLogFile); err != nil {
		return err
	}
	old := o.file
	if err := o.open(); err != nil {
		o.file = old // the renamed one goes on growing rather than nothing
		return err
	}
	return old.Close()
}

// say adds a line of our own.
func (o *output) say(line string) { _, _ = o.Write([]byte(line)) }

// close waits for what is still in the pipe. All writers are gone by then,
// but for a process the kernel cannot kill yet.
func (o *output) close() {
	o.pipe.Close()
	select {
	case <-o.done:
	case <-time.After(time.Second):
	}
}
