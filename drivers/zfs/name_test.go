package zfs

import (
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func volume(source string) plans.Volume { return plans.Volume{Source: source} }

func TestSource(t *testing.T) {
	d := &Driver{cfg: Config{Roots: []string{"tank/fleet", "fast"}}}
	for source, want := range map[string]string{
		"": "tank/fleet/acme", "tank/fleet": "tank/fleet", "tank/fleet/a/b": "tank/fleet/a/b", "fast/x": "fast/x",
	} {
		if got, err := d.source("create", drivers.VolumeOrder{Tenant: "acme", Volume: volume(source)}); err != nil || got != want {
			t.Errorf("source %q is %q, %v; want %q", source, got, err, want)
		}
	}
	for _, source := range []string{
		"tank", "tank/fleets", "tank/fleet/../other", "tank/fleet/..", "/tank/fleet", "tank/fleet/", "tank/fleet//a", "-r", "tank/fleet/-r",
		"tank/fleet/a@s", "tank/fleet/a#b", "tank/fleet/a%b", "tank/fleet/a b", "tank/fleet/ä", "tank/fleet/" + strings.Repeat("x", 200), ".", "..",
	} {
		_, err := d.source("create", drivers.VolumeOrder{Tenant: "acme", Volume: volume(source)})
		class(t, err, observed.Refused, "")
	}
}

// What differs has another name, whatever the words hold.
func TestLeaf(t *testing.T) {
	seen := map[string]drivers.VolumeOrder{}
	for _, o := range []drivers.VolumeOrder{
		{Tenant: "acme", Name: "data", Slot: plans.Blue, Role: observed.Live, Attempt: "a1-ff"},
		{Tenant: "acme", Name: "data", Slot: plans.Blue, Role: observed.Live, Attempt: "a1-ffr"},
		{Tenant: "acme", Name: "data", Slot: plans.Blue, Role: observed.Rehearsal, Attempt: "a1-ff"},
		{Tenant: "acme", Name: "data", Slot: plans.Green, Role: observed.Live, Attempt: "a1-ff"},
		{Tenant: "acme", Name: "data", Slot: plans.Shared, Role: observed.Live},
		{Tenant: "acme", Name: "data", Role: observed.Live},
	} {
		name := leaf(o)
		if other, taken := seen[name]; taken {
			t.Errorf("%+v and %+v are both %s", o, other, name)
		}
		seen[name] = o
		if why := badName(name); why != "" || strings.Contains(name, "/") {
			t.Errorf("the name %s %s", name, why)
		}
	}
	if got := leaf(drivers.VolumeOrder{Tenant: "a/../b", Name: "x@y", Role: observed.Live}); badName(got) != "" || strings.ContainsAny(got, "/@") {
		t.Errorf("a name out of its place: %s", got)
	}
}

func TestSizeOf(t *testing.T) {
	for text, want := range map[string]uint64{"512": 512, "1K": 1024, "320M": 320 << 20, "10G": 10 << 30, "2T": 2 << 40} {
		if got, err := sizeOf(text); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"K", "1KM", "-1", "1.5G", "99999999999999999999", "9999999999T"} {
		if got, err := sizeOf(text); err == nil {
			t.Errorf("%s is %d", text, got)
		}
	}
}

func TestNew(t *testing.T) {
	for _, roots := range [][]string{nil, {""}, {"tank/"}, {"tank/fleet", "-x"}} {
		_, err := New(Config{Roots: roots, Mounts: t.TempDir()})
		class(t, err, observed.Refused, "drivers.zfs.roots")
	}
	t.Setenv("PATH", t.TempDir())
	_, err := must[*Driver](t)(New(Config{Roots: []string{"tank"}, Mounts: t.TempDir()})).Observe(t.Context())
	class(t, err, observed.Environment, "zfsutils-linux")
}
