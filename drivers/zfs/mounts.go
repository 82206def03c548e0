package zfs

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is one line of a mount table. Format: proc_pid_mountinfo(5).
type mount struct {
	dev    string // major:minor
	root   string // of it inside its filesystem
	point  string
	fstype string
	source string // of zfs the name of the dataset
	passed bool   // unmounting it elsewhere unmounts it here too
	pid    string // of a process in whose namespace it is
	here   bool   // in our own namespace
}

// mounts reads the mount table of every namespace once: an instance's bind
// mounts are in its own and not in ours.
func mounts() ([]mount, error) {
	own, err := mountTable("self", true)
	if err != nil {
		return nil, err
	}
	mine, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{mine: true}
	for _, p := range procs {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		ns, err := os.Readlink(filepath.Join("/proc", p.Name(), "ns/mnt"))
		if err != nil || seen[ns] {
			continue // it ended, or is another user's: without root we see our own only
		}
		seen[ns] = true
		if table, err := mountTable(p.Name(), false); err == nil {
			own = append(own, table...)
		}
	}
	return own, nil
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func mountTable(pid string, here bool) ([]mount, error) {
	f, err := os.Open(filepath.Join("/proc", pid, "mountinfo"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var table []mount
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		left, right, found := strings.Cut(s.Text(), " - ")
		w, v := strings.Fields(left), strings.Fields(right)
		if !found || len(w) < 6 || len(v) < 2 {
			continue
		}
		m := mount{dev: w[2], root: unescape.Replace(w[3]), point: unescape.Replace(w[4]), fstype: v[0], source: unescape.Replace(v[1]), pid: pid, here: here}
		for _, option := range w[6:] {
			m.passed = m.passed || strings.HasPrefix(option, "shared:") || strings.HasPrefix(option, "master:")
		}
		table = append(table, m)
	}
	return table, s.Err()
}

// place is where a dataset of ours is mounted for us.
type place struct {
	dataset string
	point   string // "" if it is not to be mounted
	device  string // major:minor of a zvol, "" of a filesystem
}

// placeOf tells where an entry's own mount is.
func placeOf(e *entry) place {
	p := place{dataset: e.name, point: e.value("mountpoint")}
	if e.zvol() {
		p.point, p.device = e.local(markMount), deviceOf(e.name)
	}
	return p
}

func (p place) of(m mount) bool {
	if p.device != "" {
		return m.dev == p.device
	}
	return m.fstype == "zfs" && m.source == p.dataset
}

// mounted says that the place is mounted for us.
func (p place) mounted(table []mount) bool {
	for _, m := range table {
		if m.here && m.root == "/" && m.point == p.point && p.of(m) {
			return true
		}
	}
	return false
}

// user names who else has it mounted, "" if nobody has: an instance binds a part
// of it, and a namespace that keeps its mounts to itself still holds what we
// unmount.
func (p place) user(table []mount) string {
	for _, m := range table {
		if !p.of(m) || m.root == "/" && m.point == p.point && (m.here || m.passed) {
			continue
		}
		who := "mounted at " + m.point
		if !m.here {
			comm, _ := os.ReadFile(filepath.Join("/proc", m.pid, "comm"))
			who = fmt.Sprintf("mounted by process %s (%s) at %s", m.pid, strings.TrimSpace(string(comm)), m.point)
		}
		return who
	}
	return ""
}

// device is the path of a zvol's block device, which udev makes.
func device(name string) string { return "/dev/zvol/" + name }

// deviceOf is the number of a zvol's device, "none" while it has none.
func deviceOf(name string) string {
	var st unix.Stat_t
	if err := unix.Stat(device(name), &st); err != nil {
		return "none"
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
}
