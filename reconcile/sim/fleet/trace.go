package fleet

import (
	"fmt"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// trace keeps the last events of a run, for a person. A nil trace keeps nothing.
type trace struct{ lines []string }

// traceLines is how many are kept.
const traceLines = 600

func (t *trace) add(w *world, what, format string, args ...any) {
	if t == nil {
		return
	}
	t.lines = append(t.lines, fmt.Sprintf("%12s  %-8s %s", w.now.Sub(epoch), what, fmt.Sprintf(format, args...)))
	if len(t.lines) > traceLines {
		t.lines = t.lines[1:]
	}
}

func (t *trace) told(w *world, r *reconcile.Report) {
	if t == nil {
		return
	}
	t.add(w, "report", "%s %s %s at %s of %s moves %v done %v failed %v %s", r.Tenant, r.State, r.Reason, r.Reached.Core, r.Target.Core, r.InMotion, r.Done, r.Failed, r.Why)
}

func (t *trace) decided(w *world, d *reconcile.RolloutDelta) {
	if t == nil {
		return
	}
	for _, e := range d.Events {
		t.add(w, "event", "%s %s", e.Kind, e.Text)
	}
	for _, p := range d.Permits {
		t.add(w, "permit", "%s go %v %s back %v retry %v withhold %q: %s", p.Tenant, p.Permit.Go, p.Permit.Target.Core, p.Permit.Back, p.Permit.Retry, p.Permit.Withhold, p.Permit.Why)
	}
}
