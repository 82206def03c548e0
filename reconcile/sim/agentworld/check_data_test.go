package agentworld

import (
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// data is what the books have of a tenant's data.
type data struct {
	acked map[uint64]bool         // writes answered well
	binds map[plans.Slot][]string // host paths the app of a slot was started with
	word  bool                    // a person was asked and answered: writes may be left behind
	since time.Time               // of the last switch
	to    plans.Slot              // where it led
	back  bool                    // to what had served before
}

// hasData says whether a tenant has a volume.
func (c *checks) hasData(tenant string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tenants[tenant]
	return t != nil && len(t.Volumes) > 0
}

// said says whether a person answered a question of a tenant.
func (c *checks) said(tenant string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data[tenant].word
}

// acked takes in that a write was answered well, by a slot. One that was under way
// while the tenant went back is left behind with the others.
func (c *checks) acked(tenant string, id uint64, by plans.Slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if want := c.tenants[tenant]; want != nil && want.Volumes["data"].OnBack == plans.Discard && by != c.data[tenant].to {
		return
	}
	c.data[tenant].acked[id] = true
}

// started takes in that an instance was ordered. It holds S7: a job runs once in
// an attempt.
func (c *checks) started(i plans.Instance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i.Service == "app" { // though it may be late: what is there already has the same, or it is refused
		var paths []string
		for _, b := range i.Volumes {
			paths = append(paths, b.Host)
		}
		c.data[i.Tenant].binds[i.Slot] = paths
	}
	t := c.w.host.Truth(i.Tenant)
	now := t.Instance(i.Slot, i.Service)
	if now == nil || !now.Job {
		return
	}
	run := i.Key.String() + " " + now.Attempt
	if was := c.jobs[run]; was != "" && was != now.ID && c.w.o.Late == 0 { // a late effect can come after the attempt is undone
		c.fail("S7", "job %s ran twice in attempt %s", i.Key, now.Attempt)
	}
	c.jobs[run] = now.ID
	c.reached["jobs"]++
}

// switched holds S6 and S10 where requests are led to another slot: its data hold
// every write that was answered, and its services are what they were when this
// generation served before.
func (c *checks) switched(e plans.Entry, t *observed.Tenant) {
	d := c.data[e.Tenant]
	if e.Slot == c.before[e.Tenant] {
		c.leaveBehind(e.Tenant, e.Slot, t)
	}
	c.kept(e.Tenant, e.Slot, t, "is switched to")
	d.since, d.to = c.w.date(), e.Slot
	app := t.Instance(e.Slot, "app")
	now := map[string]string{}
	for _, i := range t.Instances {
		if i.Slot == e.Slot && i.Generation == app.Generation && !i.Job {
			now[i.Service] = i.Digest + " " + i.Image
		}
	}
	at := e.Tenant + " " + app.Generation
	was, again := c.made[at]
	d.back = again
	if !again {
		c.made[at] = now
		return
	}
	c.reached["again"]++
	for name, what := range plans.Sorted(was) {
		if is, there := now[name]; there && is != what {
			c.fail("S10", "%s of %s is %s, it was %s", name, at, is, what)
		}
	}
}

// kept holds S6: no write that was answered is missing from the data of a slot,
// where the plan does not accept that.
func (c *checks) kept(tenant string, slot plans.Slot, t *observed.Tenant, what string) {
	d, want := c.data[tenant], c.tenants[tenant]
	if want == nil || d.word || len(d.acked) == 0 || want.Volumes["data"].Writes == plans.Replay {
		return
	}
	id, have := c.content(tenant, slot, t)
	if id == "" {
		return
	}
	for write := range plans.Sorted(d.acked) {
		if !have[write] {
			c.fail("S6", "write %d was answered and is not in %s of %s of %s, which %s", write, id, slot, tenant, what)
			return
		}
	}
	c.reached["writes kept"]++
}

// content is the dataset the app of a slot was started with, and what is in it.
func (c *checks) content(tenant string, slot plans.Slot, t *observed.Tenant) (id string, have map[uint64]bool) {
	for _, set := range t.Datasets {
		if !slices.Contains(c.data[tenant].binds[slot], set.Path) {
			continue
		}
		have = map[uint64]bool{}
		for _, write := range c.w.host.Content(set.ID) {
			have[write] = true
		}
		return set.ID, have
	}
	return "", nil
}

// leaveBehind takes off the books what going back to a slot leaves behind, where
// the plan accepts it.
func (c *checks) leaveBehind(tenant string, slot plans.Slot, t *observed.Tenant) {
	if want := c.tenants[tenant]; want == nil || want.Volumes["data"].OnBack != plans.Discard {
		return
	}
	_, have := c.content(tenant, slot, t)
	for write := range c.data[tenant].acked {
		if !have[write] {
			delete(c.data[tenant].acked, write)
		}
	}
}

// destroys holds S6: nothing is destroyed that what is routed was started with.
func (c *checks) destroys(dataset string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tenant := tenantOf(dataset)
	t := c.w.host.Truth(tenant)
	slot := t.Route.Entry.Slot
	for _, d := range t.Datasets {
		if d.ID == dataset && d.Path != "" && t.Instance(slot, "app") != nil && slices.Contains(c.data[tenant].binds[slot], d.Path) {
			c.fail("S6", "%s is destroyed, and what serves uses it", dataset)
		}
	}
}

// stopsWayBack holds S10: what served before is not removed before what serves now
// has served for its bake, if both have proved themselves and the plan is the same.
func (c *checks) stopsWayBack(what string, key plans.Key, t *observed.Tenant) {
	d, want := c.data[key.Tenant], c.tenants[key.Tenant]
	app, old := t.Instance(t.Route.Entry.Slot, "app"), t.Instance(key.Slot, "app")
	switch {
	case what != "remove" || key.Service != "app" || key.Slot != c.before[key.Tenant] || t.Route.Entry.Slot != d.to || d.back || want.Strategy == plans.Recreate:
		return
	case app == nil || old == nil || c.made[key.Tenant+" "+old.Generation] == nil: // it never served
		return
	case app.Generation != want.Target().Core || want.Volumes["data"].OnBack == plans.Carry: // the plan moved on, or the way back is made anew
		return
	}
	if served := c.w.date().Sub(d.since); served < bake.Std() {
		c.fail("S10", "%s, the way back, is removed %s after the switch: the bake is %s", key, served, bake)
	}
}

// ends holds S6 where everything is at rest.
func (c *checks) ends() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range plans.Sorted(c.tenants) {
		t := c.w.host.Truth(name)
		if slot := t.Route.Entry.Slot; t.Instance(slot, "app") != nil {
			c.kept(name, slot, &t, "serves at the end")
		}
	}
}
