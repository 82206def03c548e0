package vm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Machine is one run of a VM, from its boot to its end.
type Machine struct {
	config  Config
	dir     string
	cmd     *exec.Cmd
	console console
	ports   map[int]string // address here by port there
	ready   chan struct{}  // closed when the command begins
	said    string         // last word of the VM; set before over is closed
	over    chan struct{}  // closed when the emulator has ended
	err     error          // of ending; set before over is closed
}

// Boot starts a machine. It ends with its command, with Cut, or with ctx.
func (i Image) Boot(ctx context.Context, c Config) (m *Machine, err error) {
	m = &Machine{config: c, ports: map[int]string{}, ready: make(chan struct{}), over: make(chan struct{})}
	m.console.copy = c.Console
	// Short: a socket is in it.
	if m.dir, err = os.MkdirTemp("", "vm-"); err != nil {
		return nil, err
	}
	var control net.Listener
	defer func() {
		if err == nil {
			return
		}
		if control != nil {
			control.Close()
		}
		err = fmt.Errorf("boot VM: %w", errors.Join(err, os.RemoveAll(m.dir)))
	}()
	if err := c.initrd(i, m.path("initrd")); err != nil {
		return nil, err
	}
	if c.Disk == "" {
		c.Disk = m.path("disk")
		if err := NewDisk(c.Disk); err != nil {
			return nil, err
		}
	}
	if err := emptyFile(m.path("out"), outSize); err != nil {
		return nil, err
	}
	if control, err = net.Listen("unix", m.path("control")); err != nil {
		return nil, err
	}
	for _, port := range c.Forward {
		if m.ports[port], err = freeAddress(); err != nil {
			return nil, err
		}
	}
	m.cmd = i.emulator(c, m)
	m.cmd.Stdout, m.cmd.Stderr = &m.console, &m.console
	// The emulator never outlives the test that booted it.
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	go m.attend(ctx, control)
	return m, nil
}

// outSize is the most that /out may hold, in bytes; the file is sparse.
const outSize = 1 << 30

func (m *Machine) path(name string) string { return filepath.Join(m.dir, name) }

// attend follows a machine to its end.
func (m *Machine) attend(ctx context.Context, control net.Listener) {
	defer close(m.over)
	stop := context.AfterFunc(ctx, func() { _ = m.cmd.Process.Kill() }) // it may have ended
	defer stop()
	heard := make(chan string, 1)
	go m.listen(control, heard)
	err := m.cmd.Wait()
	control.Close()
	m.said = <-heard
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.err = err
	}
	if m.err == nil && m.config.Out != "" && strings.HasPrefix(m.said, "exit ") {
		m.err = unpack(m.path("out"), m.config.Out)
	}
	m.err = errors.Join(m.err, os.RemoveAll(m.dir))
}

// listen reads the second serial line; the last line is sent when it ends.
func (m *Machine) listen(control net.Listener, heard chan<- string) {
	last := ""
	defer func() { heard <- last }()
	c, err := control.Accept()
	if err != nil {
		return // the emulator did not start
	}
	defer c.Close()
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		last = strings.TrimSpace(lines.Text())
		if strings.HasPrefix(last, "ready ") {
			close(m.ready)
		}
	}
}

// Ready waits until the command begins.
func (m *Machine) Ready(ctx context.Context) error {
	select {
	case <-m.ready:
		return nil
	case <-m.over:
		return m.broken("it ended before its command began")
	case <-ctx.Done():
		return m.broken("it does not get ready: " + context.Cause(ctx).Error())
	}
}

// Up boots a machine for a test and returns when its command begins. An emulator
// that aborts before that is started again: with two processors qemu 10 sometimes
// fails an assertion while the guest's kernel lays out its devices
// ("iotlb_to_section").
func (i Image) Up(t testing.TB, c Config) *Machine {
	t.Helper()
	for n := 1; ; n++ {
		m, err := i.Boot(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err = m.Ready(t.Context()); err == nil {
			return m
		}
		if n == boots || t.Context().Err() != nil || !strings.Contains(m.Console(), "Assertion") {
			t.Fatal(err)
		}
		t.Logf("boot %d: %v", n, err)
	}
}

// boots is how often a machine is booted at most until its command begins.
const boots = 3

// Wait waits for the end and returns the command's exit status. A machine that
// ended otherwise (Cut, panic, ctx) is an error.
func (m *Machine) Wait() (exit int, err error) {
	<-m.over
	if m.err != nil {
		return -1, m.err
	}
	text, ok := strings.CutPrefix(m.said, "exit ")
	if !ok {
		return -1, m.broken("it ended without an exit status")
	}
	return strconv.Atoi(text)
}

// Cut ends the machine as a power cut would: nothing is flushed, nothing is
// told. It may have ended already.
func (m *Machine) Cut() error {
	if err := m.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cut power: %w", err)
	}
	<-m.over
	return m.err
}

// Over is closed when the machine has ended.
func (m *Machine) Over() <-chan struct{} { return m.over }

// Address is where a forwarded port of the VM is reached from here.
func (m *Machine) Address(port int) string { return m.ports[port] }

// Console is the output of kernel and command up to now.
func (m *Machine) Console() string { return m.console.String() }

func (m *Machine) broken(what string) error {
	text := m.Console()
	return fmt.Errorf("VM: %s; it last said %q, and on its console:\n%s", what, m.said, text[max(0, len(text)-consoleTail):])
}

// consoleTail is how many bytes of the console an error shows.
const consoleTail = 8 << 10

// console keeps the output, and passes it on.
type console struct {
	mu   sync.Mutex // guards kept
	kept bytes.Buffer
	copy io.Writer
}

func (c *console) Write(b []byte) (int, error) {
	// A serial line ends its lines with CR LF.
	text := bytes.ReplaceAll(b, []byte("\r"), nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.Write(text)
	if c.copy != nil {
		if _, err := c.copy.Write(text); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept.String()
}

func emptyFile(file string, size int64) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// within is a bound for tests on a whole boot, on a machine that is busy.
const within = 2 * time.Minute
