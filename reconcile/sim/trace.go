package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// trace keeps the last events of a run, for a person. A run is first made
// without one, and again with one when it failed. A nil trace keeps nothing.
type trace struct {
	lines []string
	last  string
}

// traceLines is how many events are kept.
const traceLines = 400

func (t *trace) add(w *world, what, format string, args ...any) {
	if t == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	t.lines = append(t.lines, fmt.Sprintf("%12s  %-8s %s", w.now.Sub(epoch), what, text))
	if len(t.lines) > traceLines {
		t.lines = t.lines[1:]
	}
}

func (t *trace) decided(w *world, d reconcile.Decision) {
	if t == nil {
		return
	}
	r := d.Report
	said := fmt.Sprintf("%s %s %s op %c active %s %s: %s", r.State, r.Reason, r.Phase, r.Op, r.Active, r.Generation, r.Why)
	if said != t.last {
		t.add(w, "report", "%s", said)
		t.last = said
	}
	if len(d.Actions) > 0 || w.facts.Runtime.Blind() || w.facts.Router.Blind() || w.facts.Storage.Blind() {
		t.add(w, "facts", "%s", w.seen())
	}
}

func (t *trace) acted(w *world, a reconcile.Action, res reconcile.Result) {
	if t == nil {
		return
	}
	text := "done"
	if res.Problem != nil {
		text = string(res.Problem.Class) + ": " + res.Problem.Error()
	}
	what := ""
	if a.Entry != nil {
		what = fmt.Sprintf(" → %s hold %v rev %d", a.Entry.Slot, a.Entry.Hold != nil, a.Revision)
	}
	t.add(w, "act", "%s%s: %s", a.ID, what, text)
}

// record prints our memory.
func (t *trace) record(w *world) {
	if t == nil {
		return
	}
	b, err := json.Marshal(w.rec)
	t.add(w, "record", "%s %v", b, err)
	t.add(w, "facts", "%s", w.seen())
}

// seen is the facts in short.
func (w *world) seen() string {
	var s strings.Builder
	f := w.facts
	for _, p := range []struct {
		name  string
		blind bool
	}{{"runtime", f.Runtime.Blind()}, {"router", f.Router.Blind()}, {"storage", f.Storage.Blind()}} {
		if p.blind {
			fmt.Fprintf(&s, "blind:%s ", p.name)
		}
	}
	for _, i := range f.Instances {
		flags := ""
		if i.Routed {
			flags = "*"
		}
		fmt.Fprintf(&s, "%s/%s%s=%s %s %s; ", i.Slot, i.Service, flags, i.Image, i.Phase, i.Health.Verdict)
	}
	fmt.Fprintf(&s, "route %s rev %d held %v expired %v", f.Route.Entry.Slot, f.Route.Revision, f.Route.Held, f.Route.Expired)
	for _, slot := range sorted(f.Route.Slots) {
		fmt.Fprintf(&s, " %s:%+v", slot, f.Route.Slots[slot])
	}
	for _, d := range f.Datasets {
		fmt.Fprintf(&s, "; %s %s ready %v", d.ID, d.Role, d.Ready)
	}
	return s.String()
}
