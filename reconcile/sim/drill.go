package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/sim/shrink"
)

// Drill is one story without weather: the plan says one word after the other,
// each when the tenant has come to rest on the one before.
type Drill struct {
	Name  string
	Shape Shape
	Words []func(*Word)
	First bool // die in the first deployment too
}

// Drills are the stories in which we die at every boundary.
var Drills = []Drill{
	{"upgrade", Shape{Routes: true, API: true, Worker: true, Migrate: true, Engine: true}, []func(*Word){app("good-2")}, true},
	{"upgrade that fails its gate", Shape{Routes: true, API: true, Engine: true}, []func(*Word){app("sick-2")}, false},
	{"upgrade that fails its bake", Shape{Routes: true, Worker: true, Engine: true}, []func(*Word){app("late-2")}, false},
	{"upgrade whose image is missing", Shape{Routes: true, Engine: true}, []func(*Word){app("missing-2")}, false},
	{"upgrade whose job fails", Shape{Routes: true, Migrate: true}, []func(*Word){job("bad-2")}, false},
	{"upgrade and back", Shape{Routes: true, After: true, Keep: "running"}, []func(*Word){app("good-2"), app("good-1")}, false},
	{"quiesced upgrade", Shape{Routes: true, Volume: "quiesce", Worker: true, Rehearse: true}, []func(*Word){app("good-2")}, false},
	{"quiesced upgrade that fails", Shape{Routes: true, Volume: "quiesce", OnBack: "discard"}, []func(*Word){app("sick-2")}, false},
	{"cloned upgrade", Shape{Routes: true, Volume: "replay"}, []func(*Word){app("good-2")}, false},
	{"recreate", Shape{Routes: true, Recreate: true, Volume: "snapshot"}, []func(*Word){app("good-2")}, false},
	{"recreate that fails", Shape{Routes: true, Recreate: true, Volume: "share"}, []func(*Word){app("crash-2")}, false},
	{"recreate without routes", Shape{Recreate: true, Shared: true}, []func(*Word){app("good-2")}, false},
	{"sidecar and database", Shape{Routes: true, Sidecar: true, Shared: true}, []func(*Word){
		func(w *Word) { w.Side, w.DB = "good-2", "good-3" },
		func(w *Word) { w.Side = "sick-4" },
	}, true},
	{"routes", Shape{Routes: true}, []func(*Word){func(w *Word) { w.Hosts = 3 }, func(w *Word) { w.Hosts = 1 }}, false},
	{"named slots", Shape{Routes: true, Named: true}, []func(*Word){
		func(w *Word) { w.Idle = "good-2" },
		func(w *Word) { w.Active, w.App, w.Idle = w.Active.Other(), w.Idle, w.App },
		func(w *Word) { w.Idle = "" },
	}, false},
	{"quota", Shape{Routes: true, Volume: "quiesce"}, []func(*Word){
		func(w *Word) { w.Quota = "1G" },
		func(w *Word) { w.App, w.Quota = "good-2", "2G" },
		func(w *Word) { w.Quota = "" },
	}, false},
	{"removal", Shape{Routes: true, Volume: "share", Shared: true}, []func(*Word){func(w *Word) { w.Removed = true }}, false},
}

func app(kind string) func(*Word) { return func(w *Word) { w.App = kind } }
func job(kind string) func(*Word) { return func(w *Word) { w.Job = kind } }

// Run tells the story and dies at the given boundary (-1: never). It returns
// how the tenant ends, in the terms of S7, and the boundaries there were: those
// up to first are the first deployment's.
func (d Drill) Run(step Step, cut int, traced bool) (end string, first, boundaries int, out Outcome) {
	opt := Options{Away: time.Second}
	var tr *trace
	if traced {
		tr = &trace{}
	}
	w := newWorld(shrink.NewDice(1, nil), opt, d.Shape, step, tr)
	w.calm, w.books.cut, w.insisted = true, cut, 2 // nobody answers retry
	w.settle()
	first = w.books.at
	for _, alter := range d.Words {
		word := w.word
		alter(&word)
		w.say(word)
		w.settle()
	}
	out = Outcome{Options: opt, Shape: d.Shape, Broken: w.books.broken, Turns: w.turns}
	if tr != nil {
		out.Lines = tr.lines
	}
	return w.summary(), first, w.books.at, out
}

// summary is what S7 compares: generation, active and routed slot, lineage of
// the data and what is withheld; no timestamps and no ids.
func (w *world) summary() string {
	var s strings.Builder
	r, t := w.report, w.truth()
	fmt.Fprintf(&s, "%s %s active %q %s\n", r.State, r.Reason, r.Active, r.Generation)
	for _, held := range w.rec.Withheld {
		fmt.Fprintf(&s, "withheld %s %s\n", held.Target.Core, held.Reason)
	}
	for _, i := range t.Instances {
		fmt.Fprintf(&s, "%s %s %s routed %v\n", i.Key, i.Image, i.Phase, i.Routed)
	}
	fmt.Fprintf(&s, "route %q held %v", t.Route.Entry.Slot, t.Route.Entry.Hold != nil)
	for _, route := range t.Route.Entry.Routes {
		fmt.Fprintf(&s, " %s%v", route.Host, sorted(route.Address))
	}
	s.WriteString("\n")
	slotOf := map[string]string{}
	for _, d := range t.Datasets {
		slotOf[d.ID] = string(d.Slot)
	}
	for _, d := range t.Datasets {
		if d.Role != observed.Discarded && d.Role != observed.Origin {
			fmt.Fprintf(&s, "data %s %s %s from %s\n", d.Volume, d.Slot, d.Role, slotOf[d.Origin])
		}
	}
	return s.String()
}
