package fault_test

import (
	"context"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/drivers/fault"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/drivers/mem/memtest"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Without faults a decorated driver is the driver.

var calm = fault.Faults{Decide: func(fault.Op, string) fault.Fault { return fault.None }}

func TestRuntime(t *testing.T) {
	drivertest.RunRuntime(t, memtest.Runtime(mem.AllTraits, func(rt drivers.Runtime) drivers.Runtime { return fault.Runtime(rt, calm) }))
}

func TestRouter(t *testing.T) {
	drivertest.RunRouter(t, memtest.Router(func(rt drivers.Router) drivers.Router { return fault.Router(rt, calm) }))
}

func TestStorage(t *testing.T) {
	drivertest.RunStorage(t, memtest.Storage(func(s drivers.Storage) drivers.Storage { return fault.Storage(s, calm) }))
}

func TestProber(t *testing.T) {
	drivertest.RunProber(t, memtest.Prober(func(p drivers.Prober) drivers.Prober { return fault.Prober(p, calm) }))
}

// Each fault has the effect and the reply it says.
func TestFaults(t *testing.T) {
	order := plans.Instance{Key: plans.Key{Tenant: "a", Slot: plans.Blue, Service: "app"}, Digest: "s1:1", Spec: plans.Service{Image: "i@1"}}
	for _, c := range []struct {
		fault      fault.Fault
		now, later bool // the instance is there at once, after the late effects
		class      observed.Class
	}{
		{fault.None, true, true, ""},
		{fault.LostRequest, false, false, observed.Transient},
		{fault.LostReply, true, true, observed.Transient},
		{fault.Late, false, true, observed.Transient},
		{fault.Blind, false, false, observed.Environment},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			h := mem.New(mem.Config{Now: func() time.Time { return time.Unix(1e9, 0) }})
			if err := h.Runtime().Pull(t.Context(), order.Spec.Image, nil); err != nil {
				t.Fatal(err)
			}
			var late []func()
			rt := fault.Runtime(h.Runtime(), fault.Faults{
				Decide: func(op fault.Op, ref string) fault.Fault {
					if op == "runtime.Start" && ref == order.Key.String() {
						return c.fault
					}
					return fault.None
				},
				Later: func(effect func()) { late = append(late, effect) },
			})
			there := func() bool {
				seen, _, err := rt.Observe(t.Context(), "a")
				if err != nil {
					t.Fatal(err)
				}
				return len(seen) == 1
			}
			ctx, cancel := context.WithCancel(t.Context())
			err := rt.Start(ctx, "1", order)
			cancel() // the caller is gone before the late effect comes
			if c.class == "" && err != nil || c.class != "" && (err == nil || observed.ClassOf(err) != c.class) {
				t.Errorf("error %v, want class %q", err, c.class)
			}
			if there() != c.now {
				t.Errorf("there at once: %v, want %v", !c.now, c.now)
			}
			for _, effect := range late {
				effect()
			}
			if there() != c.later {
				t.Errorf("there later: %v, want %v", !c.later, c.later)
			}
		})
	}
}

// A lost reply loses what it said, too.
func TestLostReplyLosesTheAnswer(t *testing.T) {
	h := mem.New(mem.Config{Now: func() time.Time { return time.Unix(1e9, 0) }})
	lost := fault.Faults{Decide: func(op fault.Op, _ string) fault.Fault {
		if op.Look() {
			return fault.None
		}
		return fault.LostReply
	}}
	rev, err := fault.Router(h.Router(), lost).Set(t.Context(), "1", plans.Entry{Tenant: "a", Slot: plans.Blue}, 0)
	if err == nil || rev != 0 {
		t.Errorf("Set says %d, %v", rev, err)
	}
	d, err := fault.Storage(h.Storage(), lost).Create(t.Context(), "1", drivers.VolumeOrder{Tenant: "a", Name: "data", Role: observed.Live})
	if err == nil || d.ID != "" {
		t.Errorf("Create says %+v, %v", d, err)
	}
	all, err := h.Storage().Observe(t.Context(), "a")
	if err != nil || len(all) != 1 {
		t.Errorf("the dataset: %+v, %v", all, err)
	}
}

// Looks are blind under every fault, and the refusal of a call is not lost.
func TestLooks(t *testing.T) {
	h := mem.New(mem.Config{Now: func() time.Time { return time.Unix(1e9, 0) }})
	for _, f := range []fault.Fault{fault.LostRequest, fault.LostReply, fault.Late, fault.Blind} {
		rt := fault.Runtime(h.Runtime(), fault.Faults{Decide: func(fault.Op, string) fault.Fault { return f }})
		if _, _, err := rt.Observe(t.Context()); observed.ClassOf(err) != observed.Environment {
			t.Errorf("%s: a look says %v", f, err)
		}
	}
	lost := fault.Runtime(h.Runtime(), fault.Faults{Decide: func(fault.Op, string) fault.Fault { return fault.LostReply }})
	if err := lost.SetRouted(t.Context(), "1", plans.Key{Tenant: "nobody"}, true); observed.ClassOf(err) != observed.Conflict {
		t.Errorf("a refusal came back as %v", err)
	}
}
