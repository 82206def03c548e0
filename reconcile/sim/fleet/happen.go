package fleet

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// without turns fields off, by name.
func (o *Weather) without(names []string) {
	v := reflect.ValueOf(o).Elem()
	for _, name := range names {
		if f := v.FieldByName(name); f.IsValid() {
			f.SetZero()
		}
	}
}

// Faults are the names of the fields of Weather that can be left out.
func Faults() []string {
	var out []string
	t := reflect.TypeFor[Weather]()
	for i := range t.NumField() {
		if f := t.Field(i); f.Type.Kind() == reflect.Float64 {
			out = append(out, f.Name)
		}
	}
	return out
}

// anyone is a tenant of the plan.
func (p *play) anyone() *tenant { return p.order[p.rng.IntN(len(p.order))] }

// some are about a share of the tenants, at least one.
func (p *play) some() []*tenant {
	n := 1 + p.rng.IntN(max(1, min(len(p.order)/2, 50)))
	out := make([]*tenant, n)
	for i := range out {
		out[i] = p.anyone()
	}
	return out
}

// happen lets happen what the weather has in store for one turn.
func (p *play) happen() {
	if len(p.order) > 0 {
		p.nature()
		p.people()
	}
	p.commits()
}

func (p *play) nature() {
	o := &p.o
	if p.chance(o.Blind) {
		for _, t := range p.some() {
			t.blind = p.now.Add(p.within(o.For))
			p.trace.add(p.world, "blind", "%s", t.name)
			p.touch(t)
		}
	}
	if p.chance(o.Sick) {
		for _, t := range p.some() {
			if !t.serves.Zero() && t.ill.IsZero() {
				t.ill, t.well = p.now, p.now.Add(p.within(o.For))
				p.trace.add(p.world, "sick", "%s", t.name)
				p.touch(t)
			}
		}
	}
	if p.chance(o.Down) {
		p.outage = p.now.Add(p.within(o.For))
		p.trace.add(p.world, "down", "the registry, until %s", p.outage.Sub(epoch))
		for _, t := range p.order {
			if t.try != nil {
				p.touch(t)
			}
		}
	}
}

func (p *play) people() {
	o := &p.o
	if p.chance(o.Answer) {
		p.answer()
	}
	if p.chance(o.Stale) {
		q := "ro-abc.trip1-00000000"
		if len(p.old) > 0 && p.rng.IntN(3) > 0 {
			q = p.old[p.rng.IntN(len(p.old))]
		}
		if slices.ContainsFunc(p.questions(), func(open *reconcile.Question) bool { return open.ID == q }) {
			return // that is no old one
		}
		p.answers[q] = []string{reconcile.ContinueAnyway, reconcile.RetryFailed, reconcile.AbortRollout, "nonsense"}[p.rng.IntN(4)]
		p.machine.Answered()
	}
	if p.chance(o.Word) {
		if t := p.anyone(); t.withheld[t.target] != "" && t.try == nil && t.sees(p.now) {
			p.trace.add(p.world, "word", "%s may try again", t.name)
			delete(t.withheld, t.target)
			p.books.Lifted(t.name)
			t.lifted = true
			p.touch(t)
		}
	}
	if p.chance(o.Repair) {
		for _, core := range p.cores() {
			p.rates[core] = 0
		}
	}
	if p.chance(o.Prune) {
		for _, t := range p.some() {
			if !t.permit.Open {
				t.kept = version{}
			}
		}
	}
}

func (p *play) cores() []string {
	var out []string
	for core := range plans.Sorted(p.rates) {
		out = append(out, core)
	}
	return out
}

// commits is what comes by git.
func (p *play) commits() {
	o, r := &p.o, p.rng
	news := false
	if p.chance(o.Commit) {
		news = true
		p.release(p.products[r.IntN(len(p.products))])
	}
	if p.chance(o.Edit) {
		name := fmt.Sprint("policy", r.IntN(len(p.policies)))
		next := map[string]plans.BatchPolicy{}
		for k, v := range p.policies {
			next[k] = v
		}
		next[name] = drawPolicy(r, name)
		p.policies, news = next, true
		p.trace.add(p.world, "policy", "%+v canary %+v", plain(next[name]), ptr(next[name].Canary))
	}
	if len(p.order) > 0 && p.chance(o.Own) {
		t := p.anyone()
		t.target.Live, news = fmt.Sprint("own", r.IntN(3)), true
		p.trace.add(p.world, "own", "%s wants %v", t.name, t.target)
	}
	if len(p.order) > 0 && p.chance(o.Hold) {
		t := p.anyone()
		why := "a person looks at it"
		if t.want.Hold != nil {
			why = ""
		}
		t.hold(why)
		p.trace.add(p.world, "hold", "%s %q", t.name, why)
		news = true
	}
	if p.chance(o.Come) && len(p.order) < 2*p.o.Tenants {
		t := p.come()
		p.books.Stands(t.name, target{})
		p.trace.add(p.world, "comes", "%s", t.name)
		news = true
	}
	if p.chance(o.Leave) && len(p.order) > 1 {
		i := r.IntN(len(p.order))
		t := p.order[i]
		p.order = slices.Delete(slices.Clone(p.order), i, i+1)
		t.want = nil
		p.trace.add(p.world, "leaves", "%s", t.name)
		p.touch(t)
		news = true
	}
	if news {
		p.number++
		p.commit = fmt.Sprint("c", p.number)
		p.replan()
	}
}

// release has a template say something else: something new, or something it said
// before.
func (p *play) release(prod *product) {
	r := p.rng
	next := prod.now
	if p.chance(p.o.Back) {
		next = prod.history[r.IntN(len(prod.history))]
	} else {
		p.number++
		word := fmt.Sprintf("%s-%d", prod.name, p.number)
		switch r.IntN(8) {
		case 0:
			next.aside = "a:" + word
		case 1:
			next.live = "l:" + word
		case 2:
			next.active = []plans.Slot{plans.Blue, plans.Green}[r.IntN(2)]
		default:
			next.core = "g1:" + word
		}
		if p.chance(p.o.Bad) {
			p.rates[next.core+next.aside] = r.Float64() * p.o.Worst
		}
		prod.history = append(prod.history, next)
	}
	p.trace.add(p.world, "commit", "%s says %s, no good for %.2f", prod.name, next.release(), p.rates[next.core+next.aside])
	prod.now = next
	for _, t := range p.order {
		if t.want.Template != prod.name {
			continue
		}
		want := *t.want
		want.Release = next.release()
		live := t.target.Live
		t.want, t.target = &want, next.target()
		if len(live) > 3 && live[:3] == "own" {
			t.target.Live = live
		}
	}
}

// hold puts a person's hold on the tenant, or takes it off.
func (t *tenant) hold(why string) {
	want := *t.want
	want.Hold = nil
	if why != "" {
		want.Hold = &plans.HoldWord{Reason: why}
	}
	t.want = &want
}

// mend makes well whatever serves.
func (t *tenant) mend(now time.Time) {
	t.ill, t.well = time.Time{}, time.Time{}
	if t.try != nil {
		t.try.fate.Fault, t.try.shows = None, false
	}
}

// plain is a policy without what is printed beside it.
func plain(p plans.BatchPolicy) plans.BatchPolicy {
	p.Canary = nil
	return p
}

// ptr is what p points to, for printing.
func ptr[T any](p *T) any {
	if p == nil {
		return "none"
	}
	return *p
}
