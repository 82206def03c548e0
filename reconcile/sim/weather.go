package sim

import (
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/fault"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// chance says whether what is named happens. Then luck is that of this happening,
// and of no other.
func (w *world) chance(name string, rate float64) bool {
	r := w.dice.Happens(name, rate)
	if r == nil {
		return false
	}
	w.rng = r
	return true
}

func (w *world) within(d time.Duration) time.Duration {
	return time.Duration(w.rng.Int64N(int64(d) + 1))
}

// decide is what happens to one call of a driver.
func (w *world) decide(op fault.Op, _ string) fault.Fault {
	if w.calm || op.Look() {
		return fault.None
	}
	switch {
	case w.chance("LostRequest", w.opt.LostRequest):
		return fault.LostRequest
	case w.chance("LostReply", w.opt.LostReply):
		return fault.LostReply
	case w.chance("Late", w.opt.Late):
		return fault.Late
	}
	return fault.None
}

// later keeps the effect of a call that was given up.
func (w *world) later(effect func()) {
	w.late = append(w.late, lateEffect{w.now.Add(time.Millisecond + w.within(20*time.Second)), effect})
}

// weather lets happen what the options have in store for one turn.
func (w *world) weather() {
	o := w.opt
	w.goBlind(mem.PartRuntime, "BlindRuntime", o.BlindRuntime)
	w.goBlind(mem.PartRouter, "BlindRouter", o.BlindRouter)
	w.goBlind(mem.PartStorage, "BlindStorage", o.BlindStorage)
	w.goBlind(mem.PartProber, "BlindProber", o.BlindProber)
	w.goBlind(mem.PartRegistry, "Registry", o.Registry)
	if w.chance("Full", o.Full) {
		w.full = w.now.Add(w.within(w.opt.BlindFor))
		w.host.SetFree(0)
		w.trace.add(w, "full", "until %s", w.full.Sub(epoch))
	}
	if w.chance("Sick", o.Sick) {
		w.sicken()
	}
	if w.chance("Die", o.Die) {
		if key, ok := w.anyone(); ok && w.host.Crash(key, 1) {
			w.trace.add(w, "dies", "%s", key)
		}
	}
	if w.chance("Person", o.Person) {
		w.person()
	}
	if w.chance("Reboot", o.Reboot) {
		w.trace.add(w, "reboot", "")
		w.host.Reboot()
		w.lose()
		if w.up && w.rng.IntN(2) == 0 {
			w.crash("by the reboot")
		}
	}
	if w.chance("Proxy", o.Proxy) {
		w.trace.add(w, "proxy", "restarts")
		w.host.RestartProxy()
		w.lose()
	}
	if w.chance("Jump", o.Jump) {
		d := time.Minute + w.within(2*time.Hour)
		w.trace.add(w, "jump", "%s", d)
		w.now = w.now.Add(d) // nobody probes meanwhile: the machine was asleep
		w.host.Tick()
		if w.up && d > maxGap {
			w.skip()
		}
	}
	if w.chance("Back", o.Back) {
		w.skew -= w.within(time.Minute)
		w.trace.add(w, "back", "our clock is off by %s", w.skew)
	}
	if w.chance("Traffic", o.Traffic) {
		if w.shape.Routes {
			w.send()
		} else {
			w.writePast()
		}
	}
	w.books.moved()
	w.people()
}

// people are what the plan, the rollout and the operators say.
func (w *world) people() {
	o := w.opt
	if w.chance("Plan", o.Plan) {
		w.replan()
	}
	if w.chance("Hold", o.Hold) {
		word := w.word
		word.Hold = !word.Hold
		w.say(word)
	}
	if w.chance("Permit", o.Permit) {
		w.permit.Go = !w.permit.Go && w.want != nil
		w.permit.Open = w.rng.IntN(3) == 0
		w.trace.add(w, "permit", "%v, open %v", w.permit.Go, w.permit.Open)
	}
	if w.chance("Answer", o.Answer) {
		w.answer()
	}
	if w.chance("Retry", o.Retry) {
		switch w.rng.IntN(4) {
		case 0:
			w.local = reconcile.GoBack
		case 1:
			w.data = w.restore()
		default:
			w.retry = true
		}
		w.trace.add(w, "word", "retry %v %s, data %+v", w.retry, w.local, w.data)
	}
	if !w.report.InMotion && w.chance("DataBack", o.DataBack) {
		if w.data = w.restore(); w.data != nil {
			w.trace.add(w, "word", "data %+v", *w.data)
		}
	}
	if w.chance("Prune", o.Prune) {
		w.trace.add(w, "prune", "")
		keep := append([]string{image("app", w.word.App)}, w.report.Images...)
		_ = w.host.Runtime().Prune(bg, keep, nil) // refused while the runtime is down, like any call
	}
}

// restore is a person's word that the data go back to one of the snapshots there
// are, or the question; nil where there is none.
func (w *world) restore() *reconcile.DataWord {
	var all []string
	for _, d := range w.truth().Datasets {
		if d.Role == observed.Origin {
			all = append(all, d.ID)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return &reconcile.DataWord{Snapshot: all[w.rng.IntN(len(all))], Granted: w.rng.IntN(2) == 0}
}

// goBlind takes a part of the host down for a while.
func (w *world) goBlind(p mem.Part, name string, rate float64) {
	if w.chance(name, rate) {
		w.blinds(p)
	}
}

func (w *world) blinds(p mem.Part) {
	w.blind[p] = w.now.Add(w.within(w.opt.BlindFor))
	w.host.Down(p, true)
	w.trace.add(w, "blind", "%s until %s", p, w.blind[p].Sub(epoch))
}

// atSwitch has the version that was just switched to, or the sight of what the switch
// came to, fail before anybody looked, while the requests still wait.
func (w *world) atSwitch(a reconcile.Action) {
	if a.Verb != reconcile.Route || a.Entry.Hold == nil || a.Step != reconcile.Switch || w.calm || !w.chance("AtSwitch", w.opt.AtSwitch) {
		return
	}
	services := []string{"app"}
	for _, i := range w.truth().Instances {
		if i.Slot == a.Slot && i.Service != "app" {
			services = append(services, i.Service)
		}
	}
	key := plans.Key{Tenant: Name, Slot: a.Slot, Service: services[w.rng.IntN(len(services))]}
	switch w.rng.IntN(4) {
	case 0:
		w.blinds(mem.PartRuntime)
	case 1:
		w.blinds(mem.PartRouter)
	case 2:
		if no := false; w.host.SetHealth(key, &no) {
			w.trace.add(w, "sick", "%s true", key)
			w.books.ill(key, true)
		}
	case 3:
		if w.host.Crash(key, 1) {
			w.trace.add(w, "dies", "%s", key)
		}
	}
}

// anyone is an instance that is there.
func (w *world) anyone() (plans.Key, bool) {
	t := w.truth()
	if len(t.Instances) == 0 {
		return plans.Key{}, false
	}
	return t.Instances[w.rng.IntN(len(t.Instances))].Key, true
}

// sicken has an instance answer badly, or gives its own word back.
func (w *world) sicken() {
	key, ok := w.anyone()
	if !ok {
		return
	}
	var well *bool
	if no := false; w.rng.IntN(2) == 0 {
		well = &no
	}
	if w.host.SetHealth(key, well) {
		w.trace.add(w, "sick", "%s %v", key, well != nil)
		w.books.ill(key, well != nil)
	}
}

// person does what a person at the host does.
func (w *world) person() {
	key, ok := w.anyone()
	switch n := w.rng.IntN(6); {
	case n <= 1 && ok:
		if w.host.Kill(key) {
			w.trace.add(w, "person", "kills %s", key)
		}
	case n <= 3 && ok:
		if w.host.RemoveByHand(key) {
			w.trace.add(w, "person", "removes %s", key)
			w.books.removedByHand(key)
		}
	case n == 4:
		if w.host.EditRoute(Name, func(e *plans.Entry) {
			if w.rng.IntN(2) == 0 {
				e.Slot = e.Slot.Other()
			} else if len(e.Routes) > 0 {
				e.Routes = e.Routes[:len(e.Routes)-1]
			}
		}) {
			w.trace.add(w, "person", "edits the route")
		}
	case n == 5:
		if w.host.DropRoute(Name) {
			w.trace.add(w, "person", "drops the route")
		}
	}
}

// replan changes what the plan says.
func (w *world) replan() {
	word := w.word
	fresh := func(bad []string) string {
		if w.chance("Bad", w.opt.Bad) {
			return w.image(bad[w.rng.IntN(len(bad))])
		}
		return w.image([]string{"good", "good", "slow"}[w.rng.IntN(3)])
	}
	switch n := w.rng.IntN(12); {
	case w.word.Gone || w.word.Removed:
		word.Gone, word.Removed = false, false
		word.App = w.image("good")
	case w.chance("Remove", w.opt.Remove):
		word.Removed = w.rng.IntN(3) > 0
		word.Gone = !word.Removed
	case n > 0 && n < 4 && w.shape.Named:
		word.Idle = fresh(badApps) // looked at beside the active one, then flipped to
	case n >= 4 && n < 6 && w.shape.Named && word.Idle != "":
		word.Active, word.App, word.Idle = word.Active.Other(), word.Idle, word.App
	case n < 6:
		word.App = fresh(badApps)
	case n == 6:
		word.Job = fresh(badJobs)
	case n == 7 && w.shape.Sidecar:
		word.Side = fresh(badApps)
	case n == 8 && w.shape.Shared:
		word.DB = fresh(badApps)
	case n == 9 && w.shape.Volume != "" && w.rng.IntN(2) == 0:
		word.Quota = []string{"", "1G", "2G"}[w.rng.IntN(3)]
	case n == 9:
		word.Hosts = 1 + w.rng.IntN(3)
	case n == 10 && w.shape.Named:
		word.Active = word.Active.Other()
		if word.Idle != "" {
			word.App, word.Idle = word.Idle, word.App
		}
	case n == 11 && w.shape.Named:
		if word.Idle == "" {
			word.Idle = fresh(badApps)
		} else {
			word.Idle = ""
		}
	case len(w.books.history) > 0:
		word.App = w.books.history[w.rng.IntN(len(w.books.history))] // back to something earlier
	}
	if w.shape.Several && w.rng.IntN(2) == 0 { // a release of several things
		if w.shape.Shared {
			word.DB = w.image("good") // it moves before the app, which may fail then
		}
		if w.shape.Sidecar && w.rng.IntN(2) == 0 {
			word.Side = fresh(badApps)
		}
		if !w.shape.Named {
			word.App = w.image([]string{"good", badApps[w.rng.IntN(len(badApps))]}[w.rng.IntN(2)])
		}
		if w.rng.IntN(4) == 0 {
			word.Hosts = 1 + w.rng.IntN(3)
		}
	}
	w.say(word)
}

// answer has a person answer the open question, if there is one.
func (w *world) answer() {
	q := w.report.Question
	if q == nil || len(q.Answers) == 0 || w.answers[q.ID] != "" {
		return
	}
	words := sorted(q.Answers)
	if w.calm {
		// In the calm nobody insists on trying or waiting for ever.
		words = slices.DeleteFunc(words, func(word string) bool { return word == "retry" && w.insisted > 1 || word == "wait" })
		w.insisted++
	}
	if len(words) == 0 {
		return
	}
	w.answers[q.ID] = words[w.rng.IntN(len(words))]
	w.trace.add(w, "answer", "%s to %s", w.answers[q.ID], q.Text)
	w.books.answeredQuestion(w.answers[q.ID])
}
