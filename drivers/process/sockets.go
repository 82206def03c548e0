package process

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Addresses as /proc/net/tcp and tcp6 write them: words in host order, which
// for these two comes out the same on either kind of machine but for loopback.
const (
	any4   = "00000000"
	loop4  = "0100007F"
	loop4b = "7F000001" // big endian
	any6   = "00000000000000000000000000000000"
	mapped = "0000000000000000FFFF0000" // ::ffff:, before the four bytes
)

const stateListen = "0A"

// listeners returns the inodes of the sockets a connection to 127.0.0.1:port
// would reach: those bound to that address, or else those bound to all.
func listeners(port int) ([]string, error) {
	var exact, all []string
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(file)
		if os.IsNotExist(err) {
			continue // no IPv6 here
		}
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		lines.Scan() // the head
		for lines.Scan() {
			w := strings.Fields(lines.Text())
			if len(w) < 10 || w[3] != stateListen {
				continue
			}
			host, p, _ := strings.Cut(w[1], ":")
			if n, err := strconv.ParseUint(p, 16, 16); err != nil || int(n) != port {
				continue
			}
			switch strings.TrimPrefix(host, mapped) {
			case loop4, loop4b:
				exact = append(exact, w[9])
			case any4, any6:
				all = append(all, w[9])
			}
		}
		err = lines.Err()
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
	}
	if len(exact) > 0 {
		return exact, nil
	}
	return all, nil
}

// listens says whether every socket that answers the loopback port belongs to
// a process that /proc shows: in a shim, to its instance.
func listens(port int) (ours bool, others []string, err error) {
	inodes, err := listeners(port)
	if err != nil || len(inodes) == 0 {
		return false, nil, err
	}
	left := map[string]bool{}
	for _, i := range inodes {
		left[i] = true
	}
	eachSocket(func(inode string, _ string) { delete(left, inode) })
	for _, i := range inodes {
		if left[i] {
			others = append(others, i)
		}
	}
	return len(others) == 0, others, nil
}

// eachSocket calls f for every socket of every process that may be looked into.
func eachSocket(f func(inode, pid string)) {
	dirs, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // it ended, or is somebody else's
		}
		for _, e := range entries {
			to, err := os.Readlink(filepath.Join(dir, e.Name()))
			if err != nil {
				continue
			}
			if rest, ok := strings.CutPrefix(to, "socket:["); ok {
				f(strings.TrimSuffix(rest, "]"), strings.Split(dir, "/")[2])
			}
		}
	}
}

// ownerOf names the process that holds a socket, as well as we may know.
func ownerOf(inodes []string) string {
	want := map[string]bool{}
	for _, i := range inodes {
		want[i] = true
	}
	owner := ""
	eachSocket(func(inode, pid string) {
		if owner == "" && want[inode] {
			name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
			owner = fmt.Sprintf("process %s (%s)", pid, strings.TrimSpace(string(name)))
		}
	})
	if owner == "" {
		return "another user's process"
	}
	return owner
}
