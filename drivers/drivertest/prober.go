package drivertest

import (
	"context"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Manner is how an instance answers, for a Prober's suite.
type Manner string

// The manners. An instance has one port named http.
const (
	Well   Manner = "well"   // 200 with body "well" and the header X-State: well; commands exit 0
	Sick   Manner = "sick"   // 500 with body "sick"; commands exit 1
	Silent Manner = "silent" // accepts connections and never answers; commands hang
	Closed Manner = "closed" // runs, and nothing listens
	Gone   Manner = "gone"   // does not exist
	Other  Manner = "other"  // well, but who answers on its port is somebody else
)

// Prober is the harness of a prober.
type Prober struct {
	// New returns a prober and how to make an instance for it to ask: its key
	// and ports. An instance it cannot make has no ports and is skipped.
	// Required.
	New func(t *testing.T) (p drivers.Prober, instance func(m Manner) (plans.Key, map[string]int))
	// Blind makes the prober of the last New of t unable to look.
	Blind func(t *testing.T)
	// Loose says that the prober looks at the instance only and not at what
	// the answer says: it is no HTTP client.
	Loose bool
}

// RunProber runs the suite.
func RunProber(t *testing.T, h Prober) { run(t, ProberCases(h)) }

// ProberCases are the cases of the suite.
func ProberCases(h Prober) []Case {
	var out []Case
	tenth := plans.Second / 10
	http := func(p plans.HTTPProbe) plans.Health { return plans.Health{HTTP: &p, Timeout: 2 * plans.Second} }
	tcp := plans.Health{TCP: &plans.TCPProbe{}, Timeout: 2 * plans.Second}
	exec := plans.Health{Exec: &plans.ExecProbe{Command: []string{"check"}}, Timeout: 2 * plans.Second}
	for _, c := range []struct {
		name   string
		manner Manner
		health plans.Health
		ok     bool
		strict bool // needs an HTTP client
	}{
		{"HTTP", Well, http(plans.HTTPProbe{Path: "/health"}), true, false},
		{"HTTPNamedPort", Well, http(plans.HTTPProbe{Path: "/health", Port: "http"}), true, false},
		{"HTTPSick", Sick, http(plans.HTTPProbe{Path: "/health"}), false, false},
		{"HTTPClosed", Closed, http(plans.HTTPProbe{Path: "/health"}), false, false},
		{"HTTPGone", Gone, http(plans.HTTPProbe{Path: "/health"}), false, false},
		{"HTTPOther", Other, http(plans.HTTPProbe{Path: "/health"}), false, false},
		{"HTTPSilent", Silent, plans.Health{HTTP: &plans.HTTPProbe{Path: "/"}, Timeout: tenth}, false, false},
		{"HTTPStatus", Sick, http(plans.HTTPProbe{Path: "/health", Status: 500}), true, true},
		{"HTTPWrongStatus", Well, http(plans.HTTPProbe{Path: "/health", Status: 204}), false, true},
		{"HTTPBody", Well, http(plans.HTTPProbe{Path: "/health", Body: "wel"}), true, false},
		{"HTTPWrongBody", Well, http(plans.HTTPProbe{Path: "/health", Body: "fine"}), false, true},
		{"HTTPHeader", Well, http(plans.HTTPProbe{Path: "/health", Header: map[string]string{"X-State": "well"}}), true, false},
		{"HTTPWrongHeader", Well, http(plans.HTTPProbe{Path: "/health", Header: map[string]string{"X-State": "fine"}}), false, true},
		{"TCP", Well, tcp, true, false},
		{"TCPClosed", Closed, tcp, false, false},
		{"TCPGone", Gone, tcp, false, false},
		{"Exec", Well, exec, true, false},
		{"ExecSick", Sick, exec, false, false},
		{"ExecGone", Gone, exec, false, false},
		{"ExecSilent", Silent, plans.Health{Exec: &plans.ExecProbe{Command: []string{"check"}}, Timeout: tenth}, false, false},
		{"Image", Well, plans.Health{Image: true}, true, false},
		{"ImageSick", Sick, plans.Health{Image: true}, false, false},
	} {
		out = append(out, Case{c.name, func(t *testing.T) {
			if c.strict && h.Loose {
				t.Skip("the prober is no HTTP client")
			}
			p, instance := h.New(t)
			key, ports := instance(c.manner)
			if ports == nil {
				t.Skipf("no instance that is %s", c.manner)
			}
			out, err := p.Probe(bound(t), drivers.ProbeTarget{Key: key, Health: c.health, Ports: ports})
			ok(t, err)
			if out.OK != c.ok || out.Text == "" {
				t.Errorf("answer %v %q, want %v and some words", out.OK, out.Text, c.ok)
			}
		}})
	}
	blind := func(t *testing.T) {
		if h.Blind == nil {
			t.Skip("the harness cannot blind the prober")
		}
		p, instance := h.New(t)
		key, ports := instance(Well)
		h.Blind(t)
		out, err := p.Probe(bound(t), drivers.ProbeTarget{Key: key, Health: exec, Ports: ports})
		wantClass(t, err, observed.Environment)
		if out.OK {
			t.Error("a prober that cannot look says well")
		}
	}
	cancelled := func(t *testing.T) {
		p, instance := h.New(t)
		key, ports := instance(Silent)
		if ports == nil {
			t.Skip("no instance that is silent")
		}
		ctx, cancel := context.WithCancel(bound(t))
		cancel()
		out, err := p.Probe(ctx, drivers.ProbeTarget{Key: key, Health: http(plans.HTTPProbe{Path: "/"}), Ports: ports})
		if err == nil {
			t.Fatalf("a cancelled look says %+v about the instance", out)
		}
	}
	return append(out, Case{"Blind", blind}, Case{"Cancelled", cancelled})
}
