package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// shimName is argument zero of a shim, and what ps shows of it first.
const shimName = "reconcile-shim"

// What a shim is started for: its first argument. The second is the instance,
// for those who read ps; the third the directory it works in: Config.Root for
// an instance. It is a name and no handle, for a handle of the host's would
// lead into the host's mount namespace, where nothing can be mounted.
const (
	shimRun   = "run"
	shimProbe = "probe"
)

// The files a shim is started with.
const (
	fdDir   = 3 + iota // the instance's directory
	fdLock             // its lock, already held
	fdReady            // where to say that the command runs, or why not
)

// Reexec makes this process a shim if it was started as one by this package,
// and then never returns. Every program that uses the package calls it before
// anything else in main (and a test in TestMain); in any other process it
// returns false at once.
func Reexec() bool {
	if len(os.Args) != 4 || os.Args[0] != shimName {
		return false
	}
	for fd := fdDir; fd <= fdReady; fd++ {
		unix.CloseOnExec(fd)
	}
	_ = setName(shimName) // else ps -c shows "exe"
	// One instance's shim sleeps nearly always: keep its heap small.
	debug.SetGCPercent(20)
	switch os.Args[1] {
	case shimRun:
		os.Exit(shimMain(os.Args[3]))
	case shimProbe:
		os.Exit(probeMain(os.Args[3]))
	}
	fmt.Fprintf(os.Stderr, "%s: unknown argument %q\n", shimName, os.Args[1])
	os.Exit(exitNoExec)
	return true
}

// setName sets what the kernel calls this process, of at most 15 bytes.
func setName(name string) error {
	return os.WriteFile("/proc/self/comm", []byte(name), 0)
}

// shim is process 1 of an instance.
type shim struct {
	order    order
	dir      *os.File // the instance's directory, reached by this handle only
	children *children
	output   *output
	serve    *server
	health   *healthState
	stops    chan stopOrder
	state    state // written by the run loop only
	ready    *os.File
}

// stopOrder asks the run loop to end the command. done is closed when all is
// over and written down.
type stopOrder struct {
	grace time.Duration
	done  chan struct{}
}

func shimMain(root string) int {
	// The group, the terminal and the reconciler's signals are not ours: we were
	// started in a session of our own. What comes now is meant for us.
	asked := make(chan os.Signal, 8)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	other := make(chan os.Signal, 1) // never read: these must not end process 1
	signal.Notify(other, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)

	s := &shim{
		dir:    os.NewFile(fdDir, "instance"),
		ready:  os.NewFile(fdReady, "ready"),
		stops:  make(chan stopOrder),
		health: &healthState{},
	}
	if err := s.prepare(root); err != nil {
		s.finish(exitNoExec, err)
		s.report(err)
		return exitNoExec
	}
	go func() {
		for range asked {
			_ = s.stop(context.Background(), s.order.Run.StopTimeout)
		}
	}()
	return s.run()
}

// prepare does all that comes before the first start of the command.
func (s *shim) prepare(root string) error {
	data, err := readFileAt(s.dir, orderFile)
	if err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	if err := json.Unmarshal(data, &s.order); err != nil {
		return fmt.Errorf("decode order: %w", err)
	}
	if old, err := readFileAt(s.dir, stateFile); err == nil {
		_ = json.Unmarshal(old, &s.state) // only for the count of restarts
	}
	s.state = state{Phase: phaseStarting, Restarts: s.state.Restarts}
	if err := s.save(); err != nil {
		return err
	}
	if s.output, err = newOutput(s.dir, s.order.Run.LogBytes); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	// The socket is bound by a relative name, while we can still name it.
	if s.serve, err = listen(s); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := enterRoot(root, &s.order); err != nil {
		return err
	}
	// The command may have our user id: it must not look into us.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("set not dumpable: %w", err)
	}
	if s.children, err = newChildren(); err != nil {
		return err
	}
	go s.serve.loop()
	return nil
}

// report tells who started us, once, that the command runs or why it does not.
func (s *shim) report(err error) {
	if s.ready == nil {
		return
	}
	word := readyWord
	var no *notStarted
	switch {
	case errors.As(err, &no):
		word = refusedWord + err.Error()
	case err != nil:
		word = err.Error()
	}
	_, _ = io.WriteString(s.ready, word)
	s.ready.Close()
	s.ready = nil
}

// What a shim answers when the command runs, and before the reason where the
// command itself is to blame and not this host.
const (
	readyWord   = "ok\n"
	refusedWord = "command: "
)

// save writes the state down. A full disk must not end a running instance, so
// the error is for those who start one.
func (s *shim) save() error {
	data, err := json.Marshal(s.state)
	if err == nil {
		err = writeFileAt(s.dir, stateFile, data, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "write state:", err)
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// finish writes down how it ended.
func (s *shim) finish(exit int, why error) {
	s.state.Phase, s.state.Exit, s.state.Ended = phaseExited, exit, time.Now()
	if why != nil {
		s.state.Problem = why.Error()
	}
	_ = s.save() // it is in the shim's log; the lock tells that we are gone
}

func readFileAt(dir *os.File, name string) ([]byte, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return io.ReadAll(f)
}
