package fleet

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// Case is one run: a seed, and what of its weather is left out.
type Case struct {
	Seed    uint64
	Tenants int      // 0: 1 to 12, by the seed
	Turns   int      // of the first phase; 0: by the seed
	Without []string // fields of Weather that are off
}

// Outcome is what one run came to.
type Outcome struct {
	Case
	Weather Weather
	Broken  *Violation     // nil: clean
	Turns   int            // decisions
	Reached map[string]int // what the run came to see
	Lines   []string       // the last events, in a run that was traced
}

// Run makes the run of a case with a machine. A panic of the machine is a rule
// broken: it is total.
func Run(c Case, make Maker) Outcome { return run(c, make, nil) }

// Traced makes it again and keeps the events.
func Traced(c Case, make Maker) Outcome { return run(c, make, &trace{}) }

// String is what a person needs who has to find out why.
func (o Outcome) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %v\nrepeat it: go test ./reconcile/sim/fleet -run TestSeed$ -args %s\nweather: %s\n", o.Case, o.Broken, o.Case.flags(), o.Weather)
	for _, l := range o.Lines {
		s.WriteString(l + "\n")
	}
	return s.String()
}

// String names the case.
func (c Case) String() string { return "fleet " + c.flags() }

func (c Case) flags() string {
	s := fmt.Sprintf("-seed %d", c.Seed)
	if c.Tenants > 0 {
		s += fmt.Sprintf(" -tenants %d", c.Tenants)
	}
	if c.Turns > 0 {
		s += fmt.Sprintf(" -turns %d", c.Turns)
	}
	if len(c.Without) > 0 {
		s += " -without " + strings.Join(c.Without, ",")
	}
	return s
}

// play is one run under way.
type play struct {
	*world
	rng      *rand.Rand
	seed     uint64
	o        Weather
	products []*product
	rates    map[string]float64 // share of tenants a core is no good for
	number   int                // of cores ever named
	old      []string           // questions that were answered
	calm     bool
	insisted int
}

func run(c Case, make Maker, tr *trace) (out Outcome) {
	rng := rand.New(rand.NewPCG(c.Seed, 0xf1ee75))
	n := c.Tenants
	if drawn := 1 + rng.IntN(12); n == 0 {
		n = drawn
	}
	o := draw(rng, n)
	if c.Turns > 0 {
		o.Turns = c.Turns
	}
	o.without(c.Without)
	p := newPlay(rng, c.Seed, o, make, tr)
	defer func() {
		if x := recover(); x != nil {
			p.books.fail("total", "panic: %v\n%s", x, debug.Stack())
		}
		out = Outcome{Case: c, Weather: o, Broken: p.books.broken, Turns: p.turns, Reached: p.books.Reached}
		if tr != nil {
			out.Lines = tr.lines
		}
	}()
	p.run()
	return out
}

func newPlay(rng *rand.Rand, seed uint64, o Weather, make Maker, tr *trace) *play {
	p := &play{world: newWorld(make), rng: rng, seed: seed, o: o, rates: map[string]float64{}}
	p.trace, p.books = tr, NewBooks()
	p.sees, p.world.fate, p.world.stuck, p.world.halves = p.books, p.draws, p.sticks, p.tears
	p.dies = func(where string) bool {
		if p.calm || !p.chance(o.Crash) {
			return false
		}
		p.trace.add(p.world, "crash", "%s", where)
		return true
	}
	p.lost = p.revive
	p.heeds = func(n int) int {
		if p.calm || n < 2 || !p.chance(o.Apart) {
			return n
		}
		return 1 + p.rng.IntN(n-1)
	}
	p.lags = func(t *tenant) {
		if !p.calm && p.chance(o.Lag) {
			t.blind = p.now.Add(p.within(o.For)) // whether it began is not known before
		}
	}
	for i := range 1 + rng.IntN(2) {
		name := fmt.Sprint("policy", i)
		p.policies[name] = drawPolicy(rng, name)
	}
	for i := range 1 + rng.IntN(2) {
		first := say{core: fmt.Sprintf("g1:p%d-0", i)}
		p.products = append(p.products, &product{name: fmt.Sprint("product", i), now: first, history: []say{first}})
	}
	fresh := rng.IntN(8) == 0 // nothing runs yet
	for range o.Tenants {
		t := p.come()
		if !fresh {
			t.serves, t.reached, t.release = t.target, t.target, t.want.Release
		}
		p.books.Stands(t.name, t.reached)
	}
	return p
}

func (p *play) chance(rate float64) bool { return rate > 0 && p.rng.Float64() < rate }

func (p *play) within(d time.Duration) time.Duration {
	return time.Duration(p.rng.Int64N(int64(d) + 1))
}

// come adds a tenant to the plan.
func (p *play) come() *tenant {
	r := p.rng
	prod := p.products[r.IntN(len(p.products))]
	want := &plans.Tenant{Name: fmt.Sprintf("t%05d", len(p.byName)), Template: prod.name, Release: prod.now.release(),
		Policy: fmt.Sprint("policy", r.IntN(len(p.policies))), Labels: map[string]string{"ring": []string{"a", "b", ""}[r.IntN(3)]}}
	if r.IntN(12) == 0 {
		want.Template = "" // it changes alone
	}
	return p.add(want, prod.now.target(), drawPace(r))
}

// draws is what becomes of a tenant's way to its target.
func (p *play) draws(t *tenant) Fate {
	f := Fate{Ready: 5*time.Second + p.within(time.Minute)}
	if p.rng.IntN(10) == 0 {
		f.Ready *= 10
	}
	core := t.target.Core + t.target.Aside
	if luckOf(p.seed, t.name, core) >= p.rates[core] {
		return f
	}
	f.Fault = AtGate
	if luckOf(p.seed, core, t.name, "how") < 0.5 {
		f.Fault, f.Shows = Serving, time.Duration(luckOf(p.seed, t.name, "when", core)*float64(2*t.pace.bake))
	}
	return f
}

// sticks says that a tenant's way back fails, in some of the runs.
func (p *play) sticks(t *tenant) bool {
	if p.calm || luckOf(p.seed, "stuck") < 0.5 {
		return false
	}
	p.books.Reached["way back fails"]++
	return luckOf(p.seed, t.name, t.target.Core, p.now.String()) < 0.6
}

// tears says that not all of a tenant's way can be taken back, in some of the runs.
func (p *play) tears(t *tenant) bool {
	if p.calm || luckOf(p.seed, "half") < 0.6 {
		return false
	}
	p.books.Reached["way back in part"]++
	return luckOf(p.seed, t.name, t.target.Core, t.target.Aside, "half") < 0.4
}

// run is both phases: the weather, and the calm after it.
func (p *play) run() {
	p.commit = "c0"
	p.replan()
	for turn := 0; turn < p.o.Turns && p.books.broken == nil; turn++ {
		p.happen()
		if !p.settle() {
			p.books.fail("L1", "the tenants and the rollouts find no end of talking")
			return
		}
		p.checkRest()
		p.pass()
	}
	p.rest()
}

// pass lets time pass: until something is due, or for a while.
func (p *play) pass() {
	at := p.now.Add(p.within(10 * time.Minute))
	if due := p.ahead(); !due.IsZero() && due.Before(at) && p.rng.IntN(4) > 0 {
		at = due
	}
	p.now = maxTime(p.now.Add(time.Millisecond), at)
	if p.chance(p.o.Jump) {
		d := time.Minute + p.within(3*time.Hour)
		p.trace.add(p.world, "jump", "%s", d)
		p.skip(d)
	}
}

// skip is time that nobody saw.
func (p *play) skip(d time.Duration) {
	p.books.Skipped(p.now, d)
	p.now = p.now.Add(d)
	p.machine.Skip(d)
}

// revive is what comes after we died: what is written down is all that is left.
func (p *play) revive() {
	away := p.within(p.o.Away)
	p.books.Skipped(p.now, away)
	p.books.Died()
	p.now = p.now.Add(away)
	p.machine = p.make()
	for _, l := range plans.Sorted(p.stored) {
		members := make([]reconcile.RolloutMember, 0, len(l.members))
		for _, m := range plans.Sorted(l.members) {
			members = append(members, *m)
		}
		p.machine.Restore(l.Rollout, members)
	}
	for base, n := range p.attempts {
		p.machine.Attempted(base, n)
	}
	p.machine.Skip(p.now.Sub(p.wrote)) // the clock is written down with everything else
	for _, t := range p.byName {
		t.permit, t.report = reconcile.Permit{}, reconcile.Report{}
	}
	p.replan()
}

// The bounds of L1, once nothing fails any more: of any fleet, and of each tenant.
// One after the other, in two hours of a night, many take years.
const (
	restRounds = 20000
	restTime   = 60 * 24 * time.Hour
	restEach   = 4 * time.Hour
)

// rest is the calm: nothing fails, people answer what they are asked, and the
// fleet must come to rest.
func (p *play) rest() {
	if p.books.broken != nil {
		return
	}
	p.soothe()
	began := p.now
	for n := 0; p.books.broken == nil; n++ {
		if n > restRounds+100*len(p.byName) || p.now.Sub(began) > restTime+time.Duration(len(p.byName))*restEach {
			p.books.fail("L1", "no rest after %d rounds and %s: %s", n, p.now.Sub(began), p.restless())
			return
		}
		if !p.settle() {
			p.books.fail("L1", "the tenants and the rollouts find no end of talking")
			return
		}
		if p.answer() {
			continue
		}
		p.checkRest()
		at := p.ahead()
		if at.IsZero() {
			break
		}
		p.now = maxTime(p.now.Add(time.Millisecond), at)
	}
	if p.books.broken == nil {
		p.ended()
	}
}

// restless names somebody who does not come to rest.
func (p *play) restless() string {
	for _, t := range p.order {
		if t.try != nil {
			return t.name + " is on its way"
		}
	}
	for _, l := range plans.Sorted(p.stored) {
		if !l.Phase.Closed() {
			return fmt.Sprintf("%s is %s: %s", l.ID, l.Phase, l.Why)
		}
	}
	return "nobody is on its way"
}

// soothe ends everything that fails.
func (p *play) soothe() {
	p.trace.add(p.world, "calm", "")
	p.calm = true
	p.outage = time.Time{}
	clear(p.rates)
	release := p.rng.IntN(2) == 0
	for _, t := range p.order {
		t.blind = time.Time{}
		t.mend(p.now)
		if release && t.want.Hold != nil {
			t.hold("")
		}
	}
	p.replan()
}

// ended holds L1: every tenant is where the plan has it, held, or held back with
// a reason, and every rollout is closed.
func (p *play) ended() {
	b := p.books
	for _, t := range p.order {
		r := &t.report
		switch {
		case r.State == reconcile.Converged && r.Done && t.serves == t.target:
		case r.State == reconcile.Held:
		case r.State == reconcile.HeldBack && r.Reason != "" && r.Why != "":
		case r.State == reconcile.Waiting && p.floored(t):
		default:
			b.fail("L1", "after the calm %s is %s at %s of %s: %s; it may %+v", t.name, r.State, t.reached.Core, t.target.Core, r.Why, t.permit)
		}
		b.Reached["end "+string(r.State)+" "+r.Reason]++
	}
	for _, l := range plans.Sorted(p.stored) {
		if !l.Phase.Closed() && l.Gate.For != reconcile.GateFloor {
			b.fail("L1", "after the calm %s is %s: %s", l.ID, l.Phase, l.Why)
		}
	}
}

// floored says that a tenant's rollout waits, and says why, for more healthy
// tenants than there are.
func (p *play) floored(t *tenant) bool {
	for _, l := range p.stored {
		if l.Policy == t.want.Policy && l.Template == t.want.Template && l.Gate.For == reconcile.GateFloor {
			return true
		}
	}
	return false
}

// answer has a person answer what is open. In the calm nobody insists on trying
// again for ever.
func (p *play) answer() (news bool) {
	for _, q := range p.questions() {
		if _, fits := q.Answers[p.answers[q.ID]]; fits {
			continue // one that fits no more is a notice, and is given anew
		}
		words := []string{}
		for word := range plans.Sorted(q.Answers) {
			if !p.calm || word != reconcile.RetryFailed || p.insisted < 3 {
				words = append(words, word)
			}
		}
		if len(words) == 0 {
			continue
		}
		word := words[p.rng.IntN(len(words))]
		if p.calm && word == reconcile.RetryFailed {
			p.insisted++
		}
		p.answers[q.ID] = word
		p.old = append(p.old, q.ID)
		p.trace.add(p.world, "answer", "%s: %s", q.ID, word)
		news = true
	}
	if news {
		p.machine.Answered()
	}
	return news
}

// checkRest holds what must be true whenever nothing is left to say: nothing is
// due, and the machine made anew from what is written down says the same.
func (p *play) checkRest() {
	b := p.books
	if b.broken != nil {
		return
	}
	every := 4 + len(p.order)/8
	if p.rng.IntN(every) != 0 || slices.ContainsFunc(sorted(p.policies), func(name string) bool {
		return len(p.policies[name].Windows)+len(p.policies[name].Freeze) > 0 // they close without a word
	}) {
		return
	}
	b.Reached["again"]++
	n := p.reborn()
	d := n.Decide(p.now, p.answers)
	if len(d.Events) > 0 {
		b.fail("scratch", "made anew it has news: %s", d.Events[0].Text)
		return
	}
	if !d.Wake.Equal(p.machine.Next()) {
		b.fail("scratch", "made anew it wakes at %s, not at %s", d.Wake.Sub(epoch), p.machine.Next().Sub(epoch))
		return
	}
	for _, t := range p.order {
		i, there := slices.BinarySearchFunc(d.Permits, t.name, func(x reconcile.TenantPermit, name string) int { return strings.Compare(x.Tenant, name) })
		permit := reconcile.Permit{}
		if there {
			permit = d.Permits[i].Permit
		}
		if permit != t.permit {
			b.fail("scratch", "made anew %s may %+v, not %+v", t.name, permit, t.permit)
			return
		}
	}
}
