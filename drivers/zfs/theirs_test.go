package zfs

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// sources are the value and the source of properties of a dataset, "-" of one it
// does not have set.
func sources(t *testing.T, id string, properties ...string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, line := range lines(zfs(t, "get", "-H", "-p", "-o", "property,value,source", strings.Join(properties, ","), id)) {
		f := strings.Split(line, "\t")
		if got[f[0]] = "-"; f[2] == "local" {
			got[f[0]] = f[1]
		}
	}
	return got
}

// TestTheirs: what a person set with `zfs set` is on every clone, through two
// upgrades, but for what the plan names and what only one dataset can have.
func TestTheirs(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	theirs := b.root + "/old/data"
	zfs(t, "create", "-o", "canmount=off", b.root+"/old")
	zfs(t, "create", "-o", "mountpoint="+t.TempDir(), theirs)
	set := map[string]string{
		"atime": "off", "recordsize": "16384", "xattr": "sa", "acltype": "posix", "sync": "always", "quota": "104857600", "exec": "off",
		"snapdir": "visible", "snapshot_limit": "50", "com.sun:auto-snapshot": "false", "theirs:note": "of two\nlines, and a\ttab",
	}
	gone := map[string]string{"reservation": "1048576", "compression": "gzip", "refquota": "52428800"}
	args := []string{"set"}
	for _, m := range []map[string]string{set, gone} {
		for k, v := range m {
			args = append(args, k+"="+v)
		}
	}
	zfs(t, append(args, theirs)...)
	v := plans.Volume{Source: theirs, Import: true, Compression: "zstd"}
	from := must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(plans.Blue, "a1", v))).ID
	zfs(t, "set", "refquota=none", "filesystem_limit=none", from) // taken back
	set["xattr"] = sources(t, from, "xattr")["xattr"]             // newer ones show it as on
	if err := d.Tune(t.Context(), "2", from, v); err != nil {
		t.Fatal(err)
	}
	for i, slot := range []plans.Slot{plans.Green, plans.Blue} {
		attempt := "a" + string(rune('2'+i))
		snap := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "3", attempt, []string{from}, nil))[0]
		if i == 1 {
			v.Compression = "" // the plan named it once, so that it is nobody's own
		}
		clone := must[observed.Dataset](t)(d.Clone(t.Context(), "4", snap.ID, b.order(slot, attempt, v), nil))
		for k, want := range set {
			if !strings.Contains(want, "\n") {
				if got := sources(t, clone.ID, k)[k]; got != want {
					t.Errorf("%s of %s is %q, want %q", k, clone.ID, got, want)
				}
			} else if got := zfs(t, "get", "-H", "-o", "value", k, clone.ID); got != want {
				t.Errorf("%s of %s is %q, want %q", k, clone.ID, got, want)
			}
		}
		want := map[string]string{"reservation": "-", "refquota": "-", "compression": []string{"zstd", "-"}[i], "mountpoint": b.mounts + "/" + leaf(b.order(slot, attempt, v))}
		if got := sources(t, clone.ID, slices.Collect(maps.Keys(want))...); !maps.Equal(got, want) {
			t.Errorf("of what is the plan's or the driver's %s has %q, want %q", clone.ID, got, want)
		}
		if seen := find(t, d, clone.ID); seen == nil || !seen.Ready || seen.Lacks != "" {
			t.Errorf("cloned, it is shown as %+v", seen)
		}
		from = clone.ID
	}
}

// TestTheirsZvol: a zvol has what is set on it, too, and stays thin.
func TestTheirsZvol(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	v := plans.Volume{Size: "64M", Filesystem: "ext4"}
	live := must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(plans.Blue, "a1", v)))
	zfs(t, "set", "sync=always", "snapdev=visible", "refreservation=1M", live.ID)
	snap := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "2", "a2", []string{live.ID}, nil))[0]
	clone := must[observed.Dataset](t)(d.Clone(t.Context(), "3", snap.ID, b.order(plans.Green, "a2", v), nil))
	want := map[string]string{"sync": "always", "snapdev": "visible", "refreservation": "-"}
	if got := sources(t, clone.ID, "sync", "snapdev", "refreservation"); !maps.Equal(got, want) {
		t.Errorf("the clone has %q, want %q", got, want)
	}
}

// TestTheirsRefused: what ZFS does not give a clone is named, and no upgrade fails
// for it.
func TestTheirsRefused(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	live := must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(plans.Blue, "a1", plans.Volume{})))
	write(t, live.Path, "big", strings.Repeat("0123456789abcdef", 1<<16))
	run(t, "zpool", "sync")
	zfs(t, "set", "compression=off", "atime=off", live.ID)
	write(t, live.Path, "big", strings.Repeat("0123456789abcdef", 1<<16))
	run(t, "zpool", "sync")
	snap := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "2", "a2", []string{live.ID}, nil))[0]
	run(t, "rm", live.Path+"/big")
	run(t, "zpool", "sync")
	zfs(t, "set", "refquota=512K", live.ID) // less than the snapshot holds
	want := b.order(plans.Green, "a2", plans.Volume{})
	for range 2 { // the second call finds it
		clone := must[observed.Dataset](t)(d.Clone(t.Context(), "3", snap.ID, want, nil))
		if got := sources(t, clone.ID, "atime", "refquota"); got["atime"] != "off" || got["refquota"] != "-" {
			t.Errorf("the clone has %q", got)
		}
		if seen := find(t, d, clone.ID); seen == nil || !seen.Ready || seen.Lacks != "refquota" {
			t.Errorf("it is shown as %+v, want it to lack refquota", seen)
		}
	}
}

// A clone is made with what a person set in the same act; where zfs refuses it so,
// without, and what can be had is set then. Cut off in between, it is marked.
func TestTheirsCalls(t *testing.T) {
	own := "local\treconcile:tenant\tacme\nlocal\tmountpoint\t/srv\n"
	look := one(t, newSide)
	snap := snapshotLines(t)
	var of strings.Builder
	for line := range strings.Lines(snap) {
		if strings.HasPrefix(line, taken+"\t") {
			of.WriteString(line)
		}
	}
	look = answer{Begins: "get -H -p -o name,", Out: look.Out + of.String() + "tank/fleet/acme\ttype\tfilesystem\t-\n"}
	set := answer{Begins: "get -H -p -o source,property,value -s local,received all " + newSide, Out: own + "local\tsync\talways\nreceived\tatime\toff\n"}
	want := (&bench{root: "tank/fleet"}).order(plans.Green, "a3", plans.Volume{})
	name := "tank/fleet/acme/" + leaf(want)

	s := scripted(t, look, set, answer{Begins: "clone"})
	d := looker(t, "n")
	must[observed.Dataset](t)(d.Clone(t.Context(), "1", taken, want, nil))
	calls := s.calls()
	if len(calls) != 3 || !strings.Contains(calls[2], "-o atime=off") || !strings.Contains(calls[2], "-o sync=always") || strings.Contains(calls[2], "/srv ") {
		t.Errorf("ran %q, want two looks and a clone with sync and atime", calls)
	}

	no := "cannot create 'x': permission denied"
	s.say(look, set, answer{Begins: "clone", On: "atime=off", Err: no}, answer{Begins: "clone", On: "reconcile:lacks=atime,sync"},
		answer{Begins: "set atime=off"}, answer{Begins: "set sync=always", Err: no}, answer{Begins: "set reconcile:lacks=sync " + name})
	must[observed.Dataset](t)(d.Clone(t.Context(), "2", taken, want, nil))
	if calls := s.calls(); len(calls) != 7 {
		t.Errorf("ran %q", calls)
	}

	// It cannot be cloned at all: told as ever.
	s.say(look, set, answer{Begins: "clone", Err: no})
	_, err := d.Clone(t.Context(), "3", taken, want, nil)
	class(t, err, observed.Refused, "zfs allow")
	// For want of room it is not tried without.
	s.calls()
	s.say(look, set, answer{Begins: "clone", Err: "cannot create 'x': out of space"})
	_, err = d.Clone(t.Context(), "4", taken, want, nil)
	class(t, err, observed.Environment, "free space")
	if calls := s.calls(); len(calls) != 3 {
		t.Errorf("ran %q", calls)
	}
	// But for a quota, which may be why.
	set.Out += "local\trefquota\t4096\n"
	s.say(look, set, answer{Begins: "clone", On: "refquota=4096", Err: "cannot create 'x': out of space"}, answer{Begins: "clone", On: "reconcile:lacks=atime,refquota,sync"},
		answer{Begins: "set atime"}, answer{Begins: "set sync"}, answer{Begins: "set refquota", Err: "cannot set property for 'x': size is less than current used or reserved space"},
		answer{Begins: "set reconcile:lacks=refquota " + name})
	must[observed.Dataset](t)(d.Clone(t.Context(), "5", taken, want, nil))
}

func TestSetByHand(t *testing.T) {
	got := setByHand("local\tatime\toff\nlocal\tmountpoint\t/x\nreceived\ttheirs:note\ta\n\tb\tc\nd\nlocal\treconcile:slot\tblue\nlocal\tsync\talways\nlocal\tquota\t0\nlocal\trefquota\t1\n")
	want := map[string]string{"atime": "off", "theirs:note": "a\n\tb\tc\nd", "sync": "always", "refquota": "1"}
	if !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
