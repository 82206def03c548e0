package outcomes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// Where the second of two copies finds no room while requests wait, what served
// serves again at once, what was copied is gone, and requests do not wait again for
// the same. Nobody can tell beforehand: there are bytes free, and no inodes.
func volumesFill(t *testing.T) {
	var disk string
	w := newWorld(t, process, func(c *stage.Config) { disk = small(t, filepath.Join(c.Dir, "state", "volumes"), 256) })
	w.settle(fleet{volume: "{onUpgrade: clone, writes: quiesce, holdLimit: 60s}\n    zoo: {onUpgrade: clone, writes: quiesce, holdLimit: 60s}"})
	made, err := filepath.Glob(filepath.Join(disk, "ant.zoo.blue.*", "data"))
	if err != nil || len(made) != 1 {
		t.Fatal(made, err)
	}
	for n := range 500 {
		if err := os.WriteFile(filepath.Join(made[0], fmt.Sprint(n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.daemon()
	used := inodes(t, disk)
	limit(t, disk, 256, used+300)
	run := load.Start(w.ctx, load.Config{Proxy: w.Proxy, Host: "ant.example.com", Workers: map[load.Kind]int{load.Get: 2, load.Post: 2, load.Fresh: 1}})
	w.upgrade("1.1")
	w.comes(outcome{state: "unknown", serves: "1.0", says: []string{"no space left on device", "nobody's release is to blame", "tries again at "}})
	w.until("what was copied is gone", enough, func() string {
		if now := inodes(t, disk); now > used+20 {
			return fmt.Sprintf("%d inodes in use, %d before", now, used)
		}
		return ""
	})
	r := w.verb(0, nil, "explain", "ant", "-o", "json")
	var e agent.Explanation
	if err := json.Unmarshal([]byte(r.Stdout), &e); err != nil {
		t.Fatal(err)
	}
	if c := e.Record.Cramped; c == nil || c.Tries != 1 || c.Free["dir "+disk] == 0 {
		t.Errorf("what was not enough is remembered as %+v", c)
	}
	if len(e.Record.Withheld) > 0 {
		t.Errorf("the release is blamed: %+v", e.Record.Withheld)
	}
	limit(t, disk, 512, used+5000)
	w.retry("ant")
	w.comes(outcome{state: "converged", serves: "1.1"})
	result := run.Stop()
	if result.Failed() > 0 {
		t.Errorf("%s: %q", result, result.Errors())
	}
	t.Logf("longest answer %s; %s", result.Kinds[load.Post].Slowest, result)
}

// retry says on the host that what failed may be tried again.
func (w *world) retry(tenant string) {
	w.Helper()
	socket := filepath.Join(w.State, agent.SocketName)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, "http://reconcile/api/retry/"+tenant, nil)
	if err != nil {
		w.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode/100 != 2 {
		w.Fatalf("retry %s: %s %s %v", tenant, res.Status, text, err)
	}
}

// inodes is how many a disk has in use.
func inodes(t *testing.T, dir string) int {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int(st.Files - st.Ffree)
}

// limit gives a small disk so many MiB and inodes.
func limit(t *testing.T, dir string, mib, inodes int) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%dm,nr_inodes=%d,mode=755", mib, inodes)); err != nil {
		t.Fatalf("remount %s: %v", dir, err)
	}
}
