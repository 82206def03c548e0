package docker

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// listener is who has a listening TCP socket, as far as /proc shows it.
type listener struct {
	there bool // somebody listens
	pid   int  // 0: could not be seen
	name  string
	args  []string
	pidns string // pid namespace, "pid:[…]"
}

func (l listener) known() bool { return l.pid != 0 }

func (l listener) String() string {
	switch {
	case !l.there:
		return "nobody"
	case !l.known():
		return "a process that cannot be seen from here"
	}
	return fmt.Sprintf("%s (pid %d)", l.name, l.pid)
}

// listenerOn finds who answers connections to 127.0.0.1:port in this network
// namespace: the socket bound to that very address before one bound to all.
func listenerOn(port int) listener { return holderOf(port, listeningInode(port)) }

// holderOf finds who holds the listening socket of a port; "" is no socket.
func holderOf(port int, inode string) listener {
	if inode == "" {
		return listener{}
	}
	if pid := holder(port, "socket:["+inode+"]"); pid != 0 {
		return process(pid)
	}
	return listener{there: true}
}

// listeningInode reads /proc/net/tcp and tcp6 (proc_net_tcp(5)): the address
// is in host byte order words, state 0A is LISTEN.
func listeningInode(port int) string {
	any := ""
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != "0A" {
				continue
			}
			addr, hex, ok := strings.Cut(fields[1], ":")
			if n, err := strconv.ParseUint(hex, 16, 16); !ok || err != nil || int(n) != port {
				continue
			}
			switch {
			case addr == loopbackHex:
				f.Close()
				return fields[9]
			case strings.Trim(addr, "0") == "":
				any = fields[9]
			}
		}
		f.Close()
	}
	return any
}

// loopbackHex is 127.0.0.1 as /proc/net/tcp of this machine writes it.
var loopbackHex = func() string {
	b := netip.AddrFrom4([4]byte{127, 0, 0, 1}).As4()
	return fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b[:]))
}()

// lastHolder remembers which process held the socket of a port when it was last
// looked for. It is where the next look begins: going through every process of
// the host for every probe would cost the square of the tenants.
var lastHolder sync.Map // port → pid

// holder returns the process that holds the socket of a port now, 0 if none
// can be seen.
func holder(port int, socket string) int {
	if pid, ok := lastHolder.Load(port); ok && holds(pid.(int), socket) {
		return pid.(int)
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && holds(pid, socket) {
			lastHolder.Store(port, pid)
			return pid
		}
	}
	lastHolder.Delete(port)
	return 0
}

// holds says whether the process has the socket open now.
func holds(pid int, socket string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false // it ended, or is somebody else's
	}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && to == socket {
			return true
		}
	}
	return false
}

func process(pid int) listener {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	l := listener{there: true, pid: pid}
	comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
	l.name = strings.TrimSpace(string(comm))
	args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	l.args = strings.Split(strings.TrimRight(string(args), "\x00"), "\x00")
	l.pidns, _ = os.Readlink(filepath.Join(dir, "ns/pid"))
	return l
}
