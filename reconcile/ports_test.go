package reconcile_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

func key(tenant string) plans.Key {
	return plans.Key{Tenant: tenant, Slot: plans.Blue, Service: "app"}
}

func TestPortsAreKept(t *testing.T) {
	p := reconcile.NewPorts("fleet", 20000, 20009)
	now := start
	port := func(tenant string) int { return p.Port(key(tenant), "http", 0, now, nil) }
	acme := port("acme")
	if acme < 20000 || acme > 20009 || port("acme") != acme {
		t.Fatalf("acme has %d, then %d", acme, port("acme"))
	}
	if q := reconcile.NewPorts("fleet", 20000, 20009).Port(key("acme"), "http", 0, now, nil); q != acme {
		t.Errorf("another host of the fleet chooses %d, not %d", q, acme)
	}
	// Everybody else, until none is left.
	given := map[int]string{acme: "acme"}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
		q := port(name)
		if q == 0 || given[q] != "" {
			t.Fatalf("%s is given %d, which is %q's", name, q, given[q])
		}
		given[q] = name
	}
	if q := port("late"); q != 0 {
		t.Errorf("late is given %d though none is free", q)
	}
	// A port rests for a day, but its own tenant may have it back.
	p.Release("acme", now)
	now = now.Add(23 * time.Hour)
	if q := port("late"); q != 0 {
		t.Errorf("late is given %d, which acme had an hour ago", q)
	}
	if q := port("acme"); q != acme {
		t.Errorf("acme comes back to %d, not %d", q, acme)
	}
	p.Release("acme", now)
	p.Moved()
	p.Sweep(now.Add(time.Hour))
	if m := p.Moved(); len(m) > 0 {
		t.Errorf("a port is forgotten before it rested: %v", m)
	}
	now = now.Add(24 * time.Hour)
	p.Sweep(now)
	if l, there := p.Moved()[acme]; !there || l != nil {
		t.Error("a port that rested is not forgotten")
	}
	if q := port("late"); q != acme {
		t.Errorf("late is given %d, want %d", q, acme)
	}
}

func TestPortsAvoidOthers(t *testing.T) {
	p := reconcile.NewPorts("fleet", 20000, 20001)
	first := p.Port(key("acme"), "http", 0, start, nil)
	p = reconcile.NewPorts("fleet", 20000, 20001)
	if q := p.Port(key("acme"), "http", 0, start, func(n int) bool { return n == first }); q == first || q == 0 {
		t.Errorf("chose %d, which something else uses", q)
	}
	p = reconcile.NewPorts("fleet", 20000, 20001)
	if q := p.Port(key("acme"), "http", 0, start, func(int) bool { return true }); q != 0 {
		t.Errorf("chose %d though all are used", q)
	}
	if q := reconcile.NewPorts("fleet", 2, 1).Port(key("acme"), "http", 0, start, nil); q != 0 {
		t.Errorf("chose %d from an empty range", q)
	}
}

func TestFixedPorts(t *testing.T) {
	p := reconcile.NewPorts("fleet", 20000, 20000)
	if q := p.Port(key("acme"), "http", 0, start, nil); q != 20000 {
		t.Fatalf("chose %d", q)
	}
	// The plan's word moves it, and frees what it had.
	if q := p.Port(key("acme"), "http", 8080, start, nil); q != 8080 {
		t.Errorf("fixed: %d", q)
	}
	if q := p.Port(key("globex"), "http", 0, start, nil); q != 20000 {
		t.Errorf("the port acme had is not free: %d", q)
	}
	// A fixed port that another has is taken from it; preflight tells of it.
	if q := p.Port(key("acme"), "http", 20000, start, nil); q != 20000 {
		t.Errorf("fixed: %d", q)
	}
	if q := p.Port(key("globex"), "http", 0, start, nil); q != 0 {
		t.Errorf("globex still has %d", q)
	}
}

func TestPortsInTheJournal(t *testing.T) {
	p := reconcile.NewPorts("fleet", 20000, 20100)
	acme := p.Port(key("acme"), "http", 0, start, nil)
	p.Release("acme", start)
	globex := p.Port(key("globex"), "http", 0, start, nil)
	q := reconcile.NewPorts("fleet", 30000, 30010)
	moved := p.Moved()
	if len(moved) != 2 {
		t.Errorf("%d leases are written down, want two", len(moved))
	}
	for port, l := range moved {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var read reconcile.Lease
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		q.Restore(port, read)
	}
	if p.Port(key("globex"), "http", 0, start, nil); len(p.Moved()) > 0 {
		t.Error("one that stays as it is is written down again")
	}
	if got := q.Port(key("globex"), "http", 0, start, nil); got != globex {
		t.Errorf("globex has %d, not %d", got, globex)
	}
	if got := q.Port(key("acme"), "http", 0, start, nil); got != acme {
		t.Errorf("acme has %d, not %d", got, acme)
	}
	if got := q.Port(key("new"), "http", 0, start, nil); got < 30000 {
		t.Errorf("new has %d, which is not in the new range", got)
	}
}
