package fleet

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// Began holds S3 and S4 at the moment a tenant begins to move: it is not given
// up, its rollout is open and not stopped, the batch has room, and those before
// it are well for their bake.
func (b *Books) Began(now time.Time, tenant string, to target) {
	e := b.entry(tenant)
	e.to = to
	e.was[to] = e.whole // one that stands half way goes back to where it was before that
	if e.withheld[to] {
		b.fail("S4", "%s begins again to move to %s, which was given up", tenant, to.Core)
		return
	}
	if e.want == nil || e.target != to {
		b.fail("S3", "%s begins to move to %s, which the plan does not want", tenant, to.Core)
		return
	}
	if e.want.Hold != nil {
		b.fail("S5", "%s begins to move and is held", tenant)
	}
	l := b.logOf(e)
	switch {
	case l == nil:
		b.fail("S3", "%s begins to move to %s and is in no open rollout", tenant, to.Core)
		return
	case l.Trip != nil:
		b.fail("S3", "%s begins to move and its rollout %s is stopped: %s", tenant, l.ID, l.Trip.Why)
		return
	case l.Phase == reconcile.RolloutRollingBack:
		b.fail("S3", "%s begins to move and its rollout %s goes back", tenant, l.ID)
		return
	}
	if c := l.members[tenant].Class; c != reconcile.ClassMoving {
		b.fail("S3", "%s begins to move and is %q in %s", tenant, c, l.ID)
	}
	e.lifted = false
	b.Reached["begun"]++
}

// logOf is the open rollout that moves a tenant to what the plan wants.
func (b *Books) logOf(e *entry) *log {
	for _, l := range b.logs {
		if m := l.members[e.want.Name]; m != nil && m.Target == e.target && !l.Phase.Closed() && l.Policy == e.want.Policy {
			return l
		}
	}
	return nil
}

// told holds S3 at the moment a member is told to move: there is room in its
// batch, and in what the breaker could hear of at once.
func (b *Books) told(now time.Time, l *log, m *reconcile.RolloutMember) {
	b.checkStagger(now, l, m.Tenant)
	b.checkWindow(now, l, m.Tenant)
	if l.begun[m.Tenant] {
		b.Reached["told again"]++
		return
	}
	l.begun[m.Tenant] = true
	if l.now() {
		b.checkParallel(l, m.Tenant)
		b.checkFloor(l, m.Tenant)
	}
	if len(l.stage) == 0 {
		l.ring = m.Ring
	}
	l.stage = append(l.stage, m.Tenant)
	if len(l.stage) > l.most {
		b.fail("S3", "%s is started as number %d of %s of %s, which may hold %d", m.Tenant, len(l.stage), reconcile.BatchName(l.batch), l.ID, l.most)
	}
	if l.batch > 0 && l.ring != m.Ring && (slices.Contains(l.rules.Rings, l.ring) || slices.Contains(l.rules.Rings, m.Ring)) {
		b.fail("S3", "%s of ring %q is started in a batch of ring %q of %s", m.Tenant, m.Ring, l.ring, l.ID)
	}
}

// opened holds S3 at the moment a batch begins: those before it came to rest and
// were well for their bake, and not too many failed.
func (b *Books) opened(now time.Time, l *log, batch int) {
	if l.batch != 0 && len(l.stage) > 0 {
		at, who := b.passed(l)
		bake := l.bake()
		switch {
		case who != "":
			b.fail("S3", "%s of %s begins, and %s is not at rest: %s", reconcile.BatchName(batch), l.ID, reconcile.BatchName(l.batch), who)
		case !l.baked && now.Before(at.Add(bake+b.unwatched(now, at, l))):
			b.fail("S3", "%s of %s begins %s after %s came to rest, the bake is %s and %s of it was not seen", reconcile.BatchName(batch), l.ID, now.Sub(at), reconcile.BatchName(l.batch), bake, b.unwatched(now, at, l))
		}
		failed, finished, canaries := l.tried()
		if l.Trip != nil || l.Phase.Closed() || l.Phase == reconcile.RolloutRollingBack {
			failed, canaries = 0, 0 // it is stopped at once
		}
		if ratio := l.rules.MaxFailureRatio; ratio > 0 && failed > 0 && float64(failed) >= ratio*float64(finished) {
			b.fail("breaker", "%s of %s begins, and %d of %d failed: the policy lets less than %g", reconcile.BatchName(batch), l.ID, failed, finished, ratio)
		}
		if canaries > 0 {
			b.fail("breaker", "%s of %s begins, and %d canaries failed", reconcile.BatchName(batch), l.ID, canaries)
		}
		b.Reached["batches"]++
	}
	if l.batch > 0 && batch < l.batch {
		b.fail("S3", "%s of %s begins after %s", reconcile.BatchName(batch), l.ID, reconcile.BatchName(l.batch))
	}
	if l.batch == 0 && l.first.Canary != nil && batch != reconcile.CanaryBatch {
		b.fail("S3", "%s of %s begins and there was no canary", reconcile.BatchName(batch), l.ID)
	}
	l.baked = false
	l.batch, l.stage, l.rules = batch, l.stage[:0], b.policies[l.Policy]
	l.most = l.limit()
}

// now says whether a rule is to be worked out from all members. In a small rollout
// it always is; in a large one now and then, so that its checks cost no more than
// in proportion to its size.
func (l *log) now() bool {
	l.asked++
	return l.asked%(1+len(l.order)/100) == 0
}

// waits takes in that a batch was passed and the next waits for something else, an
// answer or a window: its bake is held now, and only its health later.
func (b *Books) waits(now time.Time, l *log) {
	if l.Open || l.batch == 0 || l.Batch != l.batch || l.Phase.Closed() || l.Phase == reconcile.RolloutRollingBack || l.Trip != nil {
		l.baked = l.baked && !l.Open
		return
	}
	if at, who := b.passed(l); !l.baked && who == "" && now.Before(at.Add(l.bake()+b.unwatched(now, at, l))) {
		b.fail("S3", "%s of %s is passed %s after it came to rest, the bake is %s", reconcile.BatchName(l.batch), l.ID, now.Sub(at), l.bake())
	}
	l.baked = true
}

// unwatched is how much of the bake since then is none: nobody looked, or somebody
// of the batch could not be seen.
func (b *Books) unwatched(now, since time.Time, l *log) time.Duration {
	return max(b.unseen(since), b.hid(now, since, l))
}

// bake is how long the batch under way is watched.
func (l *log) bake() time.Duration {
	if l.batch == reconcile.CanaryBatch && l.rules.Canary != nil {
		return l.rules.Canary.Bake.Std()
	}
	return l.rules.Bake.Std()
}

// limit is how many may be in the batch under way.
func (l *log) limit() int {
	p := &l.rules
	if l.batch > 0 || l.first.Canary == nil {
		switch {
		case p.BatchSize > 0:
			return p.BatchSize
		case p.BatchPct > 0:
			return max(1, int(math.Ceil(float64(p.BatchPct)*float64(len(l.order))/100)))
		}
		return 1
	}
	n := 0
	for _, m := range l.order {
		match := true
		for k, v := range l.first.Canary.Select {
			match = match && l.labels[m.Tenant][k] == v
		}
		if match {
			n++
		}
	}
	if c := l.first.Canary.Count; c > 0 {
		n = min(n, c)
	} else if len(l.first.Canary.Select) == 0 {
		n = 1
	}
	return max(1, n)
}

// passed says since when all of the batch are at rest, or who is not.
func (b *Books) passed(l *log) (at time.Time, who string) {
	for _, name := range l.stage {
		e, m := b.tenants[name], l.members[name]
		rest := e.rest
		if e.want == nil || e.target != m.Target {
			continue // left the rollout
		}
		switch {
		case m.Class == reconcile.ClassSkipped, m.Class == reconcile.ClassHeld, m.Back:
			continue
		case !e.to.Zero():
			return at, name + " is on its way"
		case !l.failed[name].IsZero() && (m.Class == reconcile.ClassFailed || m.Class == reconcile.ClassUpgraded):
			rest = l.failed[name] // a failure is an end, whatever comes of it
		case rest.IsZero():
			return at, name + " is " + string(e.report.State) + ": " + e.report.Why
		}
		if rest.After(at) {
			at = rest
		}
	}
	return at, ""
}

// checkParallel holds how many may move at once: by the policy, and by what the
// breaker would say if all of them failed.
func (b *Books) checkParallel(l *log, tenant string) {
	moving, run, worst := 0, 0, 0
	for _, m := range l.order {
		e := b.entry(m.Tenant)
		there := e.want != nil && e.target == m.Target && m.Tenant != tenant
		to := e.to == m.Target && e.report.ToTarget // not undone for what the plan wanted in between
		switch on := there && l.begun[m.Tenant] && m.Class != reconcile.ClassHeld && (m.Class == reconcile.ClassMoving || to); {
		case on:
			moving++
			run++
		case m.Class == reconcile.ClassFailed && !m.Accepted:
			run++
		case m.Class == reconcile.ClassUpgraded:
			run = 0
		}
		worst = max(worst, run)
	}
	if most := l.rules.Parallelism; most > 0 && moving+1 > most {
		b.fail("S3", "%s is started while %d are on their way, the policy lets %d", tenant, moving, most)
	}
	if limit := l.rules.Failures(); moving > 0 && worst >= limit {
		b.fail("S3", "%s is started though %d in a row could fail before it is known, and %d stop the rollout", tenant, worst, limit)
	}
}

// checkWindow holds the times in which something may be started, by the policy
// as it is in the plan.
func (b *Books) checkWindow(now time.Time, l *log, tenant string) {
	p := b.policies[l.Policy]
	day, minute := now.UTC().Format(time.DateOnly), now.UTC().Hour()*60+now.UTC().Minute()
	for _, f := range p.Freeze {
		if f.From <= day && day <= max(f.From, f.To) {
			b.fail("window", "%s is started on %s, which is frozen", tenant, day)
		}
	}
	open := len(p.Windows) == 0
	for _, w := range p.Windows {
		from, to := minuteOf(w.From), minuteOf(w.To)
		if from < to {
			open = open || from <= minute && minute < to
		} else {
			open = open || minute >= from || minute < to
		}
	}
	if !open {
		b.fail("window", "%s is started at %s, outside every window", tenant, now.UTC().Format(time.TimeOnly))
	}
}

// minuteOf is a time of day as a minute of it.
func minuteOf(text string) int {
	h, m, _ := strings.Cut(text, ":")
	hour, _ := strconv.Atoi(h)
	minute, _ := strconv.Atoi(m)
	return 60*hour + minute
}

// checkFloor holds that nobody is started who could take the number of tenants
// that are known to be healthy below the floor, all that are on their way failing;
// and nobody at all while it is below, those on their way taken for healthy.
func (b *Books) checkFloor(l *log, tenant string) {
	floor := b.floor(l)
	if floor == "" || l.floored || l.Template == "" {
		return
	}
	c, me := b.crowd(l), b.entry(tenant).stands
	least := floorOf(string(floor), c.serving())
	if c[well]+c[moving] < min(least, c.serving()) {
		b.fail("floor", "%s is started with %v, the policy wants %d healthy", tenant, c, least)
	}
	if me == nothing || me == broken {
		return // it cannot make fewer of them
	}
	sure := c[well]
	if me == well {
		sure--
	}
	for _, m := range l.order { // told to move, and well where they are
		if m.Tenant != tenant && m.Class == reconcile.ClassMoving && b.entry(m.Tenant).stands == well && l.seated(b, m) {
			sure--
		}
	}
	if sure < least {
		b.fail("floor", "%s is started with %v, which leaves %d that are sure to be healthy, the policy wants %d", tenant, c, sure, least)
	}
}

// seated says that the plan still wants of a member what the rollout moves it to.
func (l *log) seated(b *Books, m *reconcile.RolloutMember) bool {
	e := b.entry(m.Tenant)
	return e.want != nil && e.target == m.Target && e.want.Policy == l.Policy
}

// floorOf is a floor as a number.
func floorOf(text string, n int) int {
	k, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	switch {
	case err != nil:
		return 0
	case strings.HasSuffix(text, "%"):
		return max(0, min(n-1, (k*n+99)/100))
	}
	return k
}

// checkStagger holds the least time between two starts.
func (b *Books) checkStagger(now time.Time, l *log, tenant string) {
	if stagger := l.rules.Stagger.Std(); !l.started.IsZero() && now.Before(l.started.Add(stagger)) {
		b.fail("S3", "%s is started %s after the one before it in %s, the stagger is %s", tenant, now.Sub(l.started), l.ID, stagger)
	}
	l.started = now
}

// tried counts the members the breaker goes by, and the canaries that failed: one
// is enough, also when it was tried again later.
func (l *log) tried() (failed, finished, canaries int) {
	for _, m := range l.order {
		switch {
		case m.Accepted && m.Class == reconcile.ClassFailed:
		case m.Class == reconcile.ClassFailed:
			failed++
			finished++
			if m.Batch == reconcile.CanaryBatch {
				canaries++
			}
		case m.Class == reconcile.ClassUpgraded:
			finished++
		}
	}
	return failed, finished, canaries
}
