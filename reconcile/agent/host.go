package agent

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Host is what preflight asks of the machine itself.
type Host interface {
	// PortOwner names who listens on a loopback port, as far as it can be
	// seen; "" if it can be bound.
	PortOwner(port int) string
	// ReadFile returns a host file that a plan names as an input.
	ReadFile(path string) ([]byte, error)
}

// LocalHost is the machine we run on.
type LocalHost struct{}

// PortOwner implements Host.
func (LocalHost) PortOwner(port int) string {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return portOwner("/proc", port)
	}
	l.Close()
	return ""
}

// ReadFile implements Host. A file larger than inputLimit is refused.
func (LocalHost) ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, inputLimit+1))
	if err == nil && len(content) > inputLimit {
		err = fmt.Errorf("%s is larger than %d bytes", path, inputLimit)
	}
	return content, err
}

// portOwner names the process that listens on a TCP port, from a proc file
// system (proc(5): net/tcp, and the socket:[inode] links under PID/fd).
func portOwner(proc string, port int) string {
	inode := ""
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		if inode = listenInode(filepath.Join(proc, table), port); inode != "" {
			break
		}
	}
	if inode == "" {
		return "an unknown process"
	}
	want := "socket:[" + inode + "]"
	links, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	for _, l := range links {
		if target, err := os.Readlink(l); err == nil && target == want {
			dir := filepath.Dir(filepath.Dir(l))
			comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
			return fmt.Sprintf("process %s (%s)", filepath.Base(dir), strings.TrimSpace(string(comm)))
		}
	}
	return "a process of another user"
}

// listenInode finds the inode of the socket in state LISTEN (0A) on port.
func listenInode(table string, port int) string {
	f, err := os.Open(table)
	if err != nil {
		return ""
	}
	defer f.Close()
	suffix := fmt.Sprintf(":%04X", port)
	for s := bufio.NewScanner(f); s.Scan(); {
		field := strings.Fields(s.Text())
		if len(field) > 9 && strings.HasSuffix(field[1], suffix) && field[3] == "0A" {
			return field[9]
		}
	}
	return ""
}
