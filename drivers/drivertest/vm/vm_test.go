package vm

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The tests of this package run in the VM, too: those that are for it.
func TestInVM(t *testing.T) {
	Tests(t, Config{Pool: "tank", Env: map[string]string{"WORD": "it's said"}})
}

// The VM has all that the tests of others build on.
func TestHost(t *testing.T) {
	Only(t)
	for name, script := range map[string]string{
		"pool": `zfs create -o org.example:mark=yes tank/a && echo one >/tank/a/f && zfs snapshot tank/a@s &&
			zfs clone tank/a@s tank/b && test "$(cat /tank/b/f)" = one`,
		"zvol":       `zfs create -V 320M tank/v && udevadm settle && mkfs.xfs -q /dev/zvol/tank/v && mkdir /v && mount /dev/zvol/tank/v /v && umount /v`,
		"namespaces": `unshare -Urm true`,
		"overlay":    `cd /disk && mkdir l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m`,
		"git":        `git init -q /disk/g && git clone -q /disk/g /disk/h`,
		"cgroups":    `grep -q memory /sys/fs/cgroup/cgroup.subtree_control`,
		"words":      `test "$WORD" = "it's said"`,
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := exec.Command("sh", "-exc", script).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// What was flushed before the power was cut is there afterwards, on the disk and
// in the pool.
func TestCut(t *testing.T) {
	if Inside() {
		t.Skip("starts VMs")
	}
	i := Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	disk := filepath.Join(t.TempDir(), "disk")
	if err := NewDisk(disk); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	boot := func(script string) *Machine {
		t.Helper()
		m, err := i.Boot(ctx, Config{Command: []string{"sh", "-c", script}, Disk: disk, Pool: "tank", Forward: []int{7}, Out: out})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	// The answer on port 7 says that all before it is done.
	m := boot(`zfs create tank/a && echo kept >/tank/a/f && echo kept >/disk/f && sync && echo done | nc -l -p 7; sleep 1000`)
	if err := m.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if got := hear(ctx, t, m.Address(7)); got != "done\n" {
		t.Fatalf("heard %q", got)
	}
	if err := m.Cut(); err != nil {
		t.Fatal(err)
	}
	if exit, err := m.Wait(); err == nil {
		t.Errorf("the power was cut, and it ended with status %d", exit)
	}
	m = boot(`mkdir /out/deep && cat /tank/a/f /disk/f >/out/deep/f; exit 7`)
	if exit, err := m.Wait(); err != nil || exit != 7 {
		t.Fatalf("after the cut: status %d, %v:\n%s", exit, err, m.Console())
	}
	if got, err := os.ReadFile(filepath.Join(out, "deep", "f")); err != nil || string(got) != "kept\nkept\n" {
		t.Errorf("after the cut there is %q, %v", got, err)
	}
}

// hear reads what a port says, once somebody listens there.
func hear(ctx context.Context, t *testing.T, address string) string {
	t.Helper()
	for {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			b := make([]byte, 64)
			n, err := c.Read(b)
			c.Close()
			if err == nil {
				return string(b[:n])
			}
		}
		select {
		case <-ctx.Done():
			t.Fatal("nobody listens: ", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestParse(t *testing.T) {
	got := parse(`=== RUN   TestA
=== RUN   TestA/b
    x_test.go:1: b is bad
=== RUN   TestA/c
--- FAIL: TestA (0.01s)
    --- FAIL: TestA/b (0.00s)
    --- PASS: TestA/c (0.00s)
=== RUN   TestD
    x_test.go:9: not here
--- SKIP: TestD (0.00s)
FAIL
`)
	want := []result{
		{"TestA/b", "FAIL", "    x_test.go:1: b is bad\n"},
		{"TestA/c", "PASS", ""},
		{"TestD", "SKIP", "    x_test.go:9: not here\n"},
	}
	if len(got) != len(want) {
		t.Fatalf("parsed %+v, want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("parsed %+v, want %+v", got[i], want[i])
		}
	}
}
