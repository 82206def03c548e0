package agent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// Keys of the journal's meta bucket.
const (
	metaClock    = "clock"     // now of the last turn
	metaPort     = "port/"     // and a host port: its lease
	metaCommit   = "commit"    // last accepted commit
	metaNamed    = "named/"    // and a tenant: what its last report kept on the host
	metaPrune    = "prune"     // images or tenants went, and what they left is not removed yet
	metaAttempts = "attempts/" // and the base of a rollout's id: how often that change was begun
	metaAdopt    = "adopt"     // the journal was empty beside owned objects, and nobody said adopt
)

// stepRounds bounds how often one turn goes over new permits. More of them wait
// for the next turn, so that a turn always ends.
const stepRounds = 4

// turnSteps bounds how many steps one turn of an agent takes. What ten thousand
// tenants decide at once would be hundreds of megabytes on their way to the
// journal, and its file would keep that size; and nothing of it would begin
// before all of it is written down.
const turnSteps = 500

// Turn steps every tenant that may step and gathers what is to be written down
// and done.
func (e *Engine) Turn(now time.Time) (turn, error) {
	var t turn
	e.Due(now)
	if len(e.ready) == 0 && !e.urgent && !e.rollout.pending(now) {
		return t, nil // ended actions are written down with the step they lead to
	}
	t.Tx, e.pending, e.urgent = e.pending, journal.Tx{}, false
	for range stepRounds {
		for _, m := range e.taken(len(t.stepped)) {
			if err := e.step(m, now, &t); err != nil {
				return t, err
			}
			t.stepped = append(t.stepped, m)
		}
		taken, err := e.rollout.decide(now, e.answers, &t.Tx, func(m *member, p reconcile.Permit) {
			m.permit = p
			e.again(m)
			e.weigh(m)
		})
		if err != nil {
			return t, err
		}
		for _, question := range taken {
			if err := e.hear(question, "", now, &t.Tx); err != nil {
				return t, err
			}
		}
		if len(e.ready) == 0 {
			break
		}
	}
	if err := e.ignore(now, &t.Tx); err != nil {
		return t, err
	}
	slices.SortFunc(t.Work, func(a, b work) int { return cmp.Compare(a.tenant, b.tenant) })
	t.Reports = sortedKeys(e.moved, cmp.Compare[string])
	clear(e.moved)
	if err := e.ports.save(&t.Tx); err != nil {
		return t, err
	}
	if !t.Tx.Empty() {
		if err := t.Tx.Put(journal.Meta, metaClock, now); err != nil {
			return t, err
		}
	}
	return t, nil
}

// taken takes those ready to step out of their set, in order of name: as many
// as the turn has steps left.
func (e *Engine) taken(stepped int) []*member {
	list := make([]*member, 0, len(e.ready))
	for m := range e.ready {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b *member) int { return cmp.Compare(a.name, b.name) })
	if left := e.steps - stepped; e.steps > 0 && len(list) > left {
		list = list[:max(0, left)]
	}
	for _, m := range list {
		delete(e.ready, m)
	}
	return list
}

// again lets a tenant whose permit changed step on the facts it has, if they
// still count.
func (e *Engine) again(m *member) {
	switch {
	case m.busy():
	case m.seen >= m.news && !e.stale[m]:
		e.ready[m] = true
	default:
		e.stale[m] = true
	}
}

// step asks the core about one tenant and books the answer.
func (e *Engine) step(m *member, now time.Time, t *turn) error {
	e.refresh(m)
	e.specs.of(m)
	e.ports.at, e.ports.now = m.want, now
	in := reconcile.Input{
		Name: m.name, Want: m.want, Elsewhere: e.elsewhere(m.name), Over: e.over, Permit: m.permit, Facts: &m.facts,
		Results: m.results, Answers: e.answers, Now: now, Env: &e.env,
	}
	m.words.say(&in)
	decision, rec := reconcile.Step(in, m.rec)
	m.results = nil
	m.told(&t.Tx)
	if runs, ran := rec.Current, m.rec.Current; runs != nil && (ran == nil || runs.Runtime != ran.Runtime) {
		defer e.settles(m)
	}
	if err := e.specs.name(&t.Tx, m.report.Specs, decision.Report.Specs); err != nil {
		// A spec that cannot be found cannot be kept; the core says so itself
		// by what it reports, and nothing of it is on this host any more.
		e.log.Warn("spec not found", "tenant", m.name, "err", err)
	}
	if err := e.remember(m, rec, t); err != nil {
		return err
	}
	if err := e.retell(m, decision.Report, &t.Tx); err != nil {
		return err
	}
	t.Tx.Events = append(t.Tx.Events, decision.Events...)
	for _, question := range decision.Heard {
		if err := e.hear(question, m.name, now, &t.Tx); err != nil {
			return err
		}
	}
	if len(decision.Actions) > 0 {
		m.flight = decision.Actions
		e.inFlight++
		for i := range m.facts.Instances {
			if in := &m.facts.Instances[i]; m.ending(in.Key) {
				e.probes.forget(idOf(in))
			}
		}
		delete(e.ready, m)
		t.Work = append(t.Work, work{m.name, decision.Actions})
		for _, a := range decision.Actions {
			if err := t.Tx.Put(journal.Inflight, a.ID, inflight{Tenant: a.Tenant, Verb: a.Verb, Target: Target(a), At: now}); err != nil {
				return err
			}
		}
	}
	wake := decision.Wake
	if !wake.IsZero() && !wake.After(now) && len(decision.Actions) == 0 {
		// A step that asks for another at once, with nothing done between,
		// would spin.
		wake = now.Add(time.Second)
	}
	e.wakeAt(m, wake)
	return nil
}

// inflight is what the journal keeps of an action under way. After a crash it
// tells a person what may have happened; nothing is decided from it.
type inflight struct {
	Tenant string         `json:"tenant"`
	Verb   reconcile.Verb `json:"verb"`
	Target string         `json:"target"`
	At     time.Time      `json:"at"`
}

// refresh brings the latest probe answers into the facts.
func (e *Engine) refresh(m *member) {
	for i := range m.facts.Instances {
		if h, ok := e.probes.health(idOf(&m.facts.Instances[i])); ok {
			m.facts.Instances[i].Health = h
		}
	}
}

// remember keeps the record, and writes it if more than its clock changed.
func (e *Engine) remember(m *member, rec reconcile.Record, t *turn) error {
	before := m.rec
	before.Clock = rec.Clock
	same := reflect.DeepEqual(&before, &rec)
	m.rec = rec
	if same && m.stored {
		return nil
	}
	if m.want == nil && same && len(m.facts.Instances) == 0 && len(m.facts.Datasets) == 0 && reflect.DeepEqual(rec, reconcile.Record{Clock: rec.Clock}) {
		return nil // a passer-by: not in the plan, nothing there, nothing known
	}
	m.stored = true
	return t.Tx.Put(journal.Tenants, m.name, rec)
}

// retell takes in a report, and tells the rollout.
func (e *Engine) retell(m *member, r reconcile.Report, tx *journal.Tx) error {
	if reflect.DeepEqual(m.report, &r) {
		return nil
	}
	was, is := named{m.report.Specs, m.report.Images}, named{r.Specs, r.Images}
	if !reflect.DeepEqual(was, is) {
		if err := tx.Put(journal.Meta, metaNamed+m.name, is); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(was.Images, func(i string) bool { return !slices.Contains(is.Images, i) }) {
		if err := e.leaves(tx); err != nil {
			return err
		}
	}
	m.report, m.was = &r, nil
	e.moved[m.name] = true
	e.rollout.heard(m)
	e.weigh(m)
	return nil
}

// named is what the last report of a tenant kept on the host. It is written
// down with the record, so that after a crash what is named no more is missed.
type named struct {
	Specs  []string `json:"specs,omitempty"`
	Images []string `json:"images,omitempty"`
}

// leaves notes that something on the host is of no use any more.
func (e *Engine) leaves(tx *journal.Tx) error {
	if e.prunes {
		return nil
	}
	e.prunes = true
	return tx.Put(journal.Meta, metaPrune, true)
}

// Prunes returns what must stay if the host is to be pruned now: once nothing
// moves, so that nothing is pruned that is about to be used.
func (e *Engine) Prunes() (keep, tenants []string, now bool) {
	if !e.prunes || !e.Settled() {
		return nil, nil, false
	}
	images := map[string]bool{}
	for name, m := range e.members {
		tenants = append(tenants, name)
		for _, i := range m.report.Images {
			images[i] = true
		}
		for _, in := range m.facts.Instances {
			images[in.Image] = true
		}
		if m.facts.Runtime.Blind() {
			return nil, nil, false // what cannot be seen may be in use
		}
	}
	slices.Sort(tenants)
	return sortedKeys(images, cmp.Compare[string]), tenants, true
}

// Pruned says that it was done, or cannot be done now and shall be left to the
// next time something goes.
func (e *Engine) Pruned() {
	e.prunes, e.urgent = false, true
	e.pending.Delete(journal.Meta, metaPrune)
}

// Verdict takes in that the probes of an instance came to another verdict.
func (e *Engine) Verdict(in plans.Key, h observed.Health, now time.Time) {
	m := e.members[in.Tenant]
	if m == nil {
		return
	}
	ev := reconcile.Event{Time: now, Kind: InstanceUnproven, Tenant: in.Tenant, Fields: map[string]string{"instance": in.String()}}
	switch {
	case h.Err != nil:
		ev.Kind, ev.Text = InstanceUnseen, in.String()+" cannot be probed: "+h.Err.Error()
	case h.Verdict == observed.Unproven:
		ev.Text = in.String() + " can be probed again: " + h.Last
	case h.Verdict == observed.Healthy:
		ev.Kind, ev.Text = InstanceHealthy, in.String()+" is healthy: "+h.Last
	default:
		ev.Kind, ev.Text = InstanceFailing, in.String()+" is failing: "+h.Last
	}
	if !e.wellAgain(m, in, h) {
		e.pending.Events = append(e.pending.Events, ev) // written with the step it leads to
	}
	e.touch(m)
}

// wellAgain says that a verdict is no news: the first of this process about an
// instance that ran before it, and serves.
func (e *Engine) wellAgain(m *member, key plans.Key, h observed.Health) bool {
	in := m.facts.Instance(key.Slot, key.Service)
	return in != nil && h.Verdict == observed.Healthy && in.Health.Verdict == observed.Unproven && in.Health.Err == nil &&
		in.Started.Before(e.begun) && m.rec.Attempt == nil
}

// weigh books whether a pass has to wait for m, and whether m waits for somebody.
func (e *Engine) weigh(m *member) {
	r := m.report
	blocked := r.State == reconcile.HeldBack || r.Question != nil
	set(e.blocked, m, blocked)
	// Until it is seen to stay so, see patience.
	unwell := r.State == reconcile.Degraded || r.State == reconcile.Unknown || repairs(r)
	atRest := !unwell && (r.Done || r.State == reconcile.HeldBack) || r.State == reconcile.Held
	moves := r.InMotion || unwell || m.permit.Go && r.State == reconcile.Progressing
	set(e.open, m, !m.gone && !atRest && moves)
}

// repairs says that what serves is not well, or has not proved itself since it was
// started, and may be put right though the tenant is held back: its target failed
// or is a person's to decide, what serves is repaired all the same.
func repairs(r *reconcile.Report) bool {
	return r.State == reconcile.HeldBack && r.Reason != reconcile.Flapping && (r.Unwell != "" || !r.Proving.IsZero())
}

func set(s map[*member]bool, m *member, in bool) {
	if in {
		s[m] = true
	} else {
		delete(s, m)
	}
}

// Done takes in what became of a tenant's actions. Those not tried have no
// result. The tenant is looked at before it steps again.
func (e *Engine) Done(tenant string, results []reconcile.Result, checks []observed.Check, now time.Time) {
	m := e.members[tenant]
	if m == nil || !m.busy() {
		return
	}
	for _, a := range m.flight {
		e.pending.Delete(journal.Inflight, a.ID)
	}
	m.flight = nil
	e.inFlight--
	m.results = append(m.results, results...)
	m.facts.Preflight = mergeChecks(m.facts.Preflight, checks)
	for _, r := range results {
		switch {
		case r.Problem != nil:
		case r.Verb == reconcile.Forget:
			e.forget(m)
			return
		case r.Verb == reconcile.Start:
			m.started = now
		}
	}
	e.touch(m)
}

// mergeChecks replaces the lines that were made again. Checks of another
// generation than the last one made are of no use any more.
func mergeChecks(old, fresh []observed.Check) []observed.Check {
	if len(fresh) == 0 {
		return old
	}
	out := slices.Clone(fresh)
	for _, o := range old {
		if o.For == fresh[0].For && !slices.ContainsFunc(fresh, func(c observed.Check) bool { return c.ID == o.ID }) {
			out = append(out, o)
		}
	}
	return out
}

// forget drops the memory of a tenant that is gone from the host.
func (e *Engine) forget(m *member) {
	e.specs.of(m)
	e.specs.retired = append(e.specs.retired, m.name)
	// What it names was stored before, so nothing has to be found.
	_ = e.specs.name(&e.pending, m.report.Specs, nil)
	e.pending.Delete(journal.Tenants, m.name)
	e.pending.Delete(journal.Meta, metaNamed+m.name)
	m.told(&e.pending)
	e.ports.release(m.name, m.rec.Clock)
	if err := e.leaves(&e.pending); err != nil {
		e.log.Error("prune not written down", "err", err)
	}
	for i := range m.facts.Instances {
		e.probes.forget(idOf(&m.facts.Instances[i]))
	}
	e.wakeAt(m, time.Time{})
	delete(e.stale, m)
	delete(e.ready, m)
	delete(e.open, m)
	delete(e.blocked, m)
	e.moved[m.name] = true
	e.urgent = true
	if m.want == nil {
		m.gone = true
		e.rollout.regroup = true
		delete(e.members, m.name)
		return
	}
	// Still in the plan, as a tombstone: known, with nothing remembered.
	report := *m.report
	report.Specs, report.Images = nil, nil
	*m = member{name: m.name, want: m.want, target: m.target, index: -1, report: &report}
}

// Load reads the memory from the journal. Actions that were in flight are
// unknown: they are forgotten, and everything is looked at first. Of the time in
// which nobody looked at most MaxGap counts for deadlines. fresh says that nobody
// has ever written to the journal.
func (e *Engine) Load(store journal.Store, fresh bool, now time.Time) (interrupted int, err error) {
	e.fresh, e.begun = fresh, now
	if err := e.specs.load(); err != nil {
		return 0, fmt.Errorf("read specs: %w", err)
	}
	if err := e.ports.load(store); err != nil {
		return 0, fmt.Errorf("read ports: %w", err)
	}
	last, err := journalledClock(store)
	if err != nil {
		return 0, err
	}
	if err := e.rollout.load(store, last, now); err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	if err := e.loadHeard(store); err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	if err := e.loadLocal(store); err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	if err := e.loadWords(store); err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	if raw, err := store.Get(journal.Meta, metaAdopt); err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	} else if raw != nil {
		e.fresh = true
	}
	if e.fresh {
		// Until the first look is written down, a crash leaves the journal as
		// good as empty.
		if err := e.pending.Put(journal.Meta, metaAdopt, true); err != nil {
			return 0, err
		}
	}
	if raw, err := store.Get(journal.Meta, metaPrune); err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	} else if raw != nil {
		e.prunes = true
	}
	err = store.Each(journal.Tenants, func(name string, v []byte) error {
		m := e.get(name)
		m.stored = true
		if err := json.Unmarshal(v, &m.rec); err != nil {
			return fmt.Errorf("record of %s: %w", name, err)
		}
		m.rec.Compact()
		e.settles(m)
		// Of the time in which nobody looked only so much counts.
		if since := now.Add(-e.maxGap); m.rec.Clock.Before(since) {
			m.rec.Clock = since
		}
		if raw, err := store.Get(journal.Meta, metaNamed+name); err != nil {
			return err
		} else if raw != nil {
			var n named
			if err := json.Unmarshal(raw, &n); err != nil {
				return fmt.Errorf("what %s named: %w", name, err)
			}
			m.report.Specs, m.report.Images = n.Specs, n.Images
			e.specs.remember(n.Specs)
		}
		e.touch(m)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	err = store.Each(journal.Inflight, func(id string, v []byte) error {
		e.pending.Delete(journal.Inflight, id)
		interrupted++
		e.urgent = true
		var a inflight
		if json.Unmarshal(v, &a) == nil {
			e.pending.Events = append(e.pending.Events, reconcile.Event{Time: now, Kind: AgentInterrupted, Tenant: a.Tenant,
				Text:   fmt.Sprintf("%s %s was under way when the agent ended; it is looked at before anything is done", a.Verb, a.Target),
				Fields: map[string]string{"action": id}})
		}
		return nil
	})
	return interrupted, err
}
