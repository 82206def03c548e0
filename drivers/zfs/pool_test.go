package zfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// twoPools is a driver with a root in tank, of which there are recordings, and one
// in fast.
func twoPools(t *testing.T) *Driver {
	t.Helper()
	return must[*Driver](t)(New(Config{Roots: []string{"fast/fleet", "tank/fleet"}, Mounts: t.TempDir(), Owner: drivers.Owner{Fleet: "f", Node: "n"}, Look: true}))
}

// away wants the three datasets that are in tank, and to be told that fast is away.
func away(t *testing.T, seen []observed.Dataset, err error, hint string) {
	t.Helper()
	var p *observed.Partial
	if !errors.As(err, &p) || len(p.Parts) != 1 || p.Parts["fast"] == nil {
		t.Fatalf("of two pools one is away, and the look ended with %v", err)
	}
	class(t, p.Parts["fast"], observed.Environment, hint)
	if len(seen) != 3 {
		t.Errorf("of the pool that is there %d datasets are seen: %+v", len(seen), seen)
	}
}

// What is in one pool is seen whatever becomes of the other, also where nothing
// was seen before, and the look of a tenant that was seen asks the other nothing.
func TestPoolAway(t *testing.T) {
	gone := answer{Begins: "get -H -p -r", On: "fast/fleet", Err: "cannot open 'fast/fleet': dataset does not exist"}
	s := scripted(t, append([]answer{gone}, listing(t)...)...)
	d := twoPools(t)
	for _, tenants := range [][]string{{"acme"}, nil, {"acme"}} {
		seen, err := d.Observe(t.Context(), tenants...)
		away(t, seen, err, "zpool import fast")
	}
	s.say(append([]answer{{Begins: "get -H -p -r", On: "fast/fleet"}, {Begins: "list -H -p -r", On: "fast/fleet"}}, listing(t)...)...)
	must[[]observed.Dataset](t)(d.Observe(t.Context()))
	s.say(append([]answer{gone}, listing(t)...)...)
	s.calls()
	if seen := must[[]observed.Dataset](t)(d.Observe(t.Context(), "acme")); len(seen) != 3 {
		t.Errorf("a tenant with nothing in the other pool is seen as %+v", seen)
	}
	for _, c := range s.calls() {
		if strings.Contains(c, "fast") {
			t.Errorf("ran %q for a tenant that has nothing there", c)
		}
	}
	// A new volume asks its own pool alone.
	s.say(answer{Begins: "get -H -p -r", On: "fast", Err: "the wrong pool"}, answer{Begins: "get", Err: "asked the right one"})
	_, err := d.Create(t.Context(), "1", drivers.VolumeOrder{Tenant: "new", Name: "data", Slot: plans.Blue, Role: observed.Live, Volume: volume("tank/fleet/new")})
	if err == nil || !strings.Contains(err.Error(), "the right one") {
		t.Errorf("creating in one pool: %v", err)
	}
}

// A pool whose look hangs is waited for no longer than it ever took, and then not
// at all until that look has ended.
func TestPoolHangs(t *testing.T) {
	here := []answer{{Begins: "get -H -p -r", On: "fast/fleet"}, {Begins: "list -H -p -r", On: "fast/fleet"}}
	s := scripted(t, append(here, listing(t)...)...)
	d := twoPools(t)
	must[[]observed.Dataset](t)(d.Observe(t.Context()))
	s.say(append([]answer{{Begins: "get -H -p -r", On: "fast/fleet", Hangs: true}}, append(here[1:], listing(t)...)...)...)
	for n, asked := range []int{1, 0} {
		s.calls()
		seen, err := d.Observe(t.Context())
		away(t, seen, err, "zpool status fast")
		if got := strings.Count(strings.Join(s.calls(), "\n"), "fast/fleet"); got != asked {
			t.Errorf("look %d ran %d commands on the pool that hangs, want %d", n, got, asked)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(10 * time.Second); ; <-time.After(10 * time.Millisecond) {
		if _, err := d.Observe(t.Context()); err == nil {
			break
		} else if time.Now().After(limit) {
			t.Fatalf("the pool answers again, and: %v", err)
		}
	}
}

func TestParts(t *testing.T) {
	onHost(t)
	d := twoPools(t)
	for source, want := range map[string]string{"": "fast", "tank/fleet/acme": "tank", "fast/fleet/{{tenant}}": "fast"} {
		if got := d.Part(volume(source)); got != want {
			t.Errorf("new data of source %q would be in %s, not in %s", source, got, want)
		}
	}
	if got := d.PartOf(taken); got != "tank" {
		t.Errorf("%s is in %s", taken, got)
	}
	one := map[string]plans.Volume{"data": volume("tank/fleet/a"), "ledger": volume("tank/fleet/b")}
	if err := d.CheckVolumes(t.Context(), one); err != nil {
		t.Error(err)
	}
	one["logs"] = volume("")
	class(t, d.CheckVolumes(t.Context(), one), observed.Refused, "logs in fast")
}
