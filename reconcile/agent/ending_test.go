package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// lingering instances take half a minute to stop and answer badly meanwhile.
type lingering struct {
	drivers.Runtime
	host *mem.Host
}

func (l lingering) Stop(ctx context.Context, id string, key plans.Key, grace time.Duration) error {
	l.linger(key)
	return l.Runtime.Stop(ctx, id, key, grace)
}

func (l lingering) Remove(ctx context.Context, id string, key plans.Key) error {
	l.linger(key)
	return l.Runtime.Remove(ctx, id, key)
}

func (l lingering) linger(key plans.Key) {
	ill := false
	l.host.SetHealth(key, &ill)
	time.Sleep(25 * time.Second)
}

// TestNoVerdictOnWhatWeStop: an instance that we stop or remove is not probed,
// and nothing is told of its health, not even by a look at everything meanwhile.
func TestNoVerdictOnWhatWeStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var host *mem.Host
		w := newWorld(t, fleet("c1", 1, "app1"), func(c *Config) {
			host = c.Host.(*mem.Host)
			c.Runtimes = map[string]drivers.Runtime{"mem": lingering{c.Runtimes["mem"], host}}
			c.LookEvery = 5 * time.Second
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.agent.Run(ctx) }()
		time.Sleep(time.Minute)
		for i, img := range []string{"app2", "app3", "app1"} { // each retires the slot before
			w.agent.SetPlan(fleet("c"+img, 1, img))
			time.Sleep(3 * time.Minute)
			w.want("converged")
			if got, want := w.agent.Status().Tenants[0].ActiveSlot, []plans.Slot{plans.Green, plans.Blue, plans.Green}[i]; got != want {
				t.Fatalf("%s serves from %s, want %s", img, got, want)
			}
		}
		stop()
		<-ended
		events, err := w.agent.Events(journal.Query{})
		if err != nil {
			t.Fatal(err)
		}
		stops := 0
		for _, e := range events {
			if e.Kind == "instance.failing" || e.Kind == "instance.unseen" {
				t.Errorf("%s %s %s", e.Time.Format(time.TimeOnly), e.Kind, e.Text)
			}
		}
		for _, a := range w.done {
			if a.Verb == "stop" || a.Verb == "remove" {
				stops++
			}
		}
		if stops < 3 {
			t.Errorf("only %d instances were stopped or removed", stops)
		}
	})
}

// TestExplainShowsLastOutput: of what is not well, and of nothing else.
func TestExplainShowsLastOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 2, "app1"))
		w.host.SetImage(image("app1"), mem.Image{Log: "no space left on device"})
		w.pass()
		w.daemon(t)
		ill := false
		w.host.SetHealth(plans.Key{Tenant: "t00", Slot: plans.Blue, Service: "app"}, &ill)
		time.Sleep(time.Minute)
		for name, want := range map[string]int{"t00": 1, "t01": 0} {
			e, err := w.agent.Explain(name)
			if err != nil || len(e.Log) != want {
				t.Errorf("%s: output %v, %v", name, e.Log, err)
			}
			for instance, text := range e.Log {
				if instance != "t00/blue/app" || !strings.Contains(text, "no space left") {
					t.Errorf("%s: %q", instance, text)
				}
			}
		}
	})
}
