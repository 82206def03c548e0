package agentworld

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// parts of the host that may not answer for a while.
var parts = []mem.Part{mem.PartRuntime, mem.PartRouter, mem.PartStorage, mem.PartProber, mem.PartRegistry}

// room is the space of a disk that is not full.
const room = 1 << 40

// happen lets happen what the weather has in store for one step.
func (w *world) happen() {
	w.git()
	w.people()
	w.nature()
}

// git is what comes by git for a lane.
func (w *world) git() {
	l, r := w.some(), w.dice.Of("happen")
	switch r.IntN(6) {
	case 0, 1:
		w.next(l)
		w.commit(func(p *plans.Plan) { w.says(p, l) })
		w.note("commit: %s says version %d, idle %d, side %d", l.template, l.version, l.idle, l.side)
	case 2:
		w.answer()
	case 3:
		if len(l.history) > 0 && !l.Named { // a revert, or the broken target again
			l.version = l.history[r.IntN(len(l.history))]
			w.commit(func(p *plans.Plan) { w.says(p, l) })
			w.note("commit: %s is back to version %d", l.template, l.version)
		}
	}
}

// people are what operators do.
func (w *world) people() {
	if w.chance("Hold", w.o.Hold) && len(w.plan.Tenants) > 0 {
		i := w.dice.Of("hold").IntN(len(w.plan.Tenants))
		w.note("a person holds %s, or lets it go", w.plan.Tenants[i].Name)
		w.commit(func(p *plans.Plan) {
			if p.Tenants[i].Hold == nil {
				p.Tenants[i].Hold = &plans.HoldWord{Reason: "a person looks at it"}
			} else {
				p.Tenants[i].Hold = nil
			}
		})
	}
	if w.chance("Stale", w.o.Stale) {
		w.stale()
	}
	if w.chance("Edit", w.o.Edit) {
		r := w.dice.Of("edit")
		policy := drawPolicy(r, w.some().policy)
		if r.IntN(4) == 0 {
			policy.Windows = []plans.Window{{From: "00:05", To: "00:30"}, {From: "00:20", To: "23:00"}}[r.IntN(2):]
		}
		text, err := json.Marshal(policy)
		w.note("policy: %s %v", text, err)
		w.commit(func(p *plans.Plan) { p.Policies[policy.Name] = policy })
	}
	if w.chance("Come", w.o.Come) {
		w.note("t%02d comes", w.number)
		w.commit(w.come)
	}
	if w.chance("Leave", w.o.Leave) && len(w.plan.Tenants) > 1 {
		w.leave()
	}
}

// leave has a person remove a tenant: by a word, or by forgetting to say one.
func (w *world) leave() {
	r := w.dice.Of("leave")
	i, gone := r.IntN(len(w.plan.Tenants)), r.IntN(4) == 0
	w.note("%s leaves, without a word: %v", w.plan.Tenants[i].Name, gone)
	w.commit(func(p *plans.Plan) {
		p.Tenants[i].Removed = true
		if gone {
			p.Tenants = slices.Delete(p.Tenants, i, i+1)
		}
	})
}

// stale has a person commit an answer to what is not asked any more or never was,
// or take an answered file away.
func (w *world) stale() {
	r := w.dice.Of("stale")
	q, word := "ro-000000.trip1-00000000", []string{reconcile.ContinueAnyway, reconcile.RetryFailed, reconcile.AbortRollout, "nonsense"}[r.IntN(4)]
	if len(w.old) > 0 {
		q = w.old[r.IntN(len(w.old))]
	}
	if slices.ContainsFunc(w.questions(), func(open *reconcile.Question) bool { return open.ID == q }) {
		return // that is no old one
	}
	if r.IntN(3) == 0 {
		w.note("the answer to %s is taken away", q)
		w.commit(func(p *plans.Plan) {
			p.Decisions = slices.DeleteFunc(p.Decisions, func(d plans.Decision) bool { return d.Question == q })
		})
		return
	}
	w.note("an old question is answered: %s to %s", word, q)
	w.check.reached["stale answer"]++
	w.commit(func(p *plans.Plan) {
		p.Decisions = append(p.Decisions, plans.Decision{Name: fmt.Sprint("stale", r.Uint32()), Question: q, Answer: word})
	})
}

// nature is what happens to the host, and to us.
func (w *world) nature() {
	if w.chance("Die", w.o.Die) && len(w.plan.Tenants) > 0 {
		r := w.dice.Of("die")
		truth := w.host.Truth(w.plan.Tenants[r.IntN(len(w.plan.Tenants))].Name)
		if len(truth.Instances) > 0 {
			key := truth.Instances[r.IntN(len(truth.Instances))].Key
			w.note("%s dies", key)
			w.host.Crash(key, 1)
		}
	}
	if w.chance("Reboot", w.o.Reboot) {
		w.note("reboot")
		w.host.Reboot()
		w.kill(w.within("reboot", time.Minute))
	}
	if w.chance("Blind", w.o.Blind) {
		w.down(parts[w.dice.Of("blind").IntN(len(parts)-1)])
	}
	if w.chance("Registry", w.o.Registry) {
		w.down(mem.PartRegistry)
	}
	if w.chance("Full", w.o.Full) {
		w.note("the disk is full")
		w.host.SetFree(0)
		time.AfterFunc(w.within("full", 5*time.Minute)+time.Second, func() { w.host.SetFree(room) })
	}
	if w.chance("Journal", w.o.Journal) {
		w.note("the journal cannot be written")
		w.store.full.Store(true)
		time.AfterFunc(w.within("journal", 3*time.Minute)+time.Second, func() { w.store.full.Store(false) })
	}
	if w.chance("Jump", w.o.Jump) {
		w.jump(3*time.Minute + w.within("jump", 2*time.Hour))
	}
	if w.chance("Back", w.o.Back) {
		d := w.within("back", time.Minute)
		w.note("our clock is set back by %s", d)
		w.mu.Lock()
		w.behind += d
		w.mu.Unlock()
	}
	if w.chance("Kill", w.o.Kill) {
		w.kill(w.within("kill", 3*time.Minute))
	}
}

// down takes a part of the host down for a while.
func (w *world) down(part mem.Part) {
	w.note("%s is down", part)
	w.host.Down(part, true)
	time.AfterFunc(w.within("down", 2*time.Minute)+time.Second, func() { w.host.Down(part, false) })
}

// jump has the machine sleep: its clock goes on and nobody looks.
func (w *world) jump(d time.Duration) {
	w.note("the clock jumps by %s", d)
	synctest.Wait()
	w.check.unseen(w.date(), d)
	w.mu.Lock()
	w.ahead += d
	w.mu.Unlock()
}

// answer has a person answer what is asked.
func (w *world) answer() (news bool) {
	for _, q := range w.questions() {
		if slices.ContainsFunc(w.plan.Decisions, func(d plans.Decision) bool { return d.Question == q.ID }) {
			continue
		}
		var words []string
		for word := range plans.Sorted(q.Answers) {
			if !w.isCalm() || word != reconcile.RetryFailed && word != "wait" {
				words = append(words, word)
			}
		}
		if len(words) == 0 {
			continue
		}
		word := words[w.dice.Of("answer").IntN(len(words))]
		w.note("answer %s to %s", word, q.ID)
		w.old = append(w.old, q.ID)
		w.commit(func(p *plans.Plan) {
			p.Decisions = append(p.Decisions, plans.Decision{Name: q.ID, Question: q.ID, Answer: word})
		})
		news = true
	}
	return news
}
