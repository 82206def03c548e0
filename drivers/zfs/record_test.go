package zfs

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

var record = flag.Bool("record", false, "write testdata again, from a real zfs in the VM")

// TestRecord writes testdata: what a real zfs says, for tests without one.
func TestRecord(t *testing.T) {
	if !*record || vm.Inside() {
		t.Skip("only with -args -record")
	}
	out, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	vm.Tests(t, vm.Config{Pool: "tank", Out: out, Command: []string{"-test.run=^TestRecording$", "-record"}})
}

// refusals are shell commands that zfs refuses, by what they show. Those before
// the last line prepare it.
var refusals = []struct{ name, script string }{
	{"exists", "zfs create tank/a\nzfs create tank/a"},
	{"clones", "zfs snapshot tank/a@s; zfs clone tank/a@s tank/b\nzfs destroy tank/a@s"},
	{"children", "zfs destroy tank/a"},
	{"held", "zfs create tank/h; zfs snapshot tank/h@s; zfs hold theirs tank/h@s\nzfs destroy tank/h@s"},
	{"heldTwice", "zfs hold theirs tank/h@s"},
	{"notHeld", "zfs release ours tank/h@s"},
	{"busy", "zfs create tank/c\ncd /tank/c && zfs destroy tank/c"},
	{"absent", "zfs destroy tank/none"},
	{"absentSnapshot", "zfs destroy tank/a@none"},
	{"absentLook", "zfs get -H -p -o name,property,value,source type tank/a tank/none"},
	{"absentParent", "zfs create tank/none/a"},
	{"noPool", "zfs list none/a"},
	{"noPoolCreate", "zfs create none/a"},
	{"space", "zfs create -o reservation=100G tank/r"},
	{"volumeSpace", "zfs create -V 100G tank/r"},
	{"parentQuota", "zfs create -o quota=1M tank/q\nzfs create -o reservation=10M tank/q/a"},
	{"smallQuota", "dd if=/dev/urandom of=/tank/a/f bs=64k count=16 2>/dev/null; zpool sync tank\nzfs set refquota=64K tank/a"},
	{"noClone", "zfs promote tank/h"},
	{"sameName", "zfs snapshot tank/b@s0; zfs create tank/p; zfs snapshot tank/p@x; zfs snapshot tank/p@y; zfs clone tank/p@y tank/p2; zfs snapshot tank/p2@x\nzfs promote tank/p2"},
	{"key", "echo a passphrase >/tmp/key; zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file:///tmp/key tank/e; zfs create tank/e/a; zfs snapshot tank/e/a@s; zfs unmount tank/e/a; zfs unmount tank/e; zfs unload-key tank/e\nzfs create tank/e/b"},
	{"keyClone", "zfs clone tank/e/a@s tank/e/c"},
	{"keyMount", "zfs mount tank/e/a"},
	{"recordSize", "zfs create -o recordsize=3K tank/z"},
	{"compression", "zfs create -o compression=tight tank/z"},
	{"blockSize", "zfs create -V 10M -o volblocksize=3K tank/z"},
	{"longName", "zfs create tank/" + strings.Repeat("long", 70)},
	{"otherPool", "truncate -s 128M /disk/o.img; zpool create other /disk/o.img\nzfs clone tank/a@s other/c"},
	{"twoPools", "zfs snapshot tank/a@two other@two"},
	{"readOnly", "zpool export other; zpool import -d /disk -o readonly=on other\nzfs create other/a"},
	{"exported", "zpool export other\nzfs get -H -r -t filesystem,volume -o name,property,value,source type other"},
	{"mounted", "zfs mount tank/a"},
	{"asNobody", "chmod 666 /dev/zfs\nsu -s /bin/sh nobody -c 'zfs create tank/n'"},
	{"asNobodyMount", "zfs allow -u nobody " + permissions + " tank; zfs unmount tank/h\nsu -s /bin/sh nobody -c 'zfs mount tank/h'"},
	{"asNobodyCreate", "su -s /bin/sh nobody -c 'zfs create tank/n'"},
	{"asNobodyClone", "su -s /bin/sh nobody -c 'zfs clone tank/h@s tank/n2'"},
	{"asNobodyDestroy", "su -s /bin/sh nobody -c 'zfs destroy tank/c'"},
}

func TestRecording(t *testing.T) {
	vm.Only(t)
	if !*record {
		t.Skip("run by TestRecord")
	}
	var b strings.Builder
	for _, r := range refusals {
		n := strings.LastIndexByte(r.script, '\n')
		if n > 0 {
			if out, err := exec.Command("sh", "-c", r.script[:n]).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", r.name, err, out)
			}
		}
		cmd := exec.Command("sh", "-c", r.script[n+1:])
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Run(); err == nil {
			t.Errorf("%s is not refused", r.name)
		}
		fmt.Fprintf(&b, "-- %s --\n%s\n", r.name, strings.TrimSpace(said.String()))
	}
	keep(t, "refusals.txtar", b.String())

	d := must[*Driver](t)(New(Config{Roots: []string{"tank/fleet"}, Mounts: "/srv/volumes", Owner: owner}))
	zfs(t, "create", "tank/fleet")
	bench := &bench{root: "tank/fleet"}
	live, snap, clone := upgrade(t, bench, d, plans.Volume{})
	zfs(t, "create", live.ID+"/theirs")
	zfs(t, "snapshot", live.ID+"@auto")
	if err := d.Hold(t.Context(), "4", snap.ID, drivers.HoldPrefix+"way-back"); err != nil {
		t.Fatal(err)
	}
	if err := d.Promote(t.Context(), "5", clone.ID); err != nil {
		t.Fatal(err)
	}
	s := must[*survey](t)(d.survey(t.Context(), d.cfg.Roots, everything))
	if len(s.datasets) == 0 || find(t, d, clone.ID).Role != observed.Live {
		t.Fatal("nothing to record")
	}
	keep(t, "datasets.txt", zfs(t, "get", "-H", "-p", "-r", "-t", "filesystem,volume", "-o", "name,property,value,source", strings.Join(datasetProperties, ","), "tank/fleet")+"\n")
	keep(t, "snapshots.txt", zfs(t, "list", "-H", "-p", "-r", "-t", "snapshot", "-o", "name,"+strings.Join(snapshotProperties, ","), "tank/fleet")+"\n")
	keep(t, "holds.txt", zfs(t, "holds", "-H", clone.ID+"@"+snapName("a2"))+"\n")
}

func keep(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("/out", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
