package sim

import (
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// whole is all that a tenant runs at a target, by the plan's words: in the slot that
// serves, in the named idle slot, and beside the slots.
type whole struct {
	runs  map[string]string // digests by place and service
	hosts int
}

// said takes in what the plan says a tenant shall be.
func (b *books) said(want *plans.Tenant) {
	if want == nil || want.Removed {
		return
	}
	all := whole{runs: map[string]string{}, hosts: len(want.Routes)}
	note := func(place string, services map[string]plans.Service) {
		for name := range plans.Sorted(services) {
			if s := services[name]; s.Job == nil {
				at := place
				if s.Scope == "tenant" {
					at = "beside"
				}
				all.runs[at+" "+name] = s.Digest()
			}
		}
	}
	note("serves", want.Core.Services)
	note("serves", want.Aside)
	if want.Idle != nil {
		note("idle", want.Idle.Services)
	}
	b.wholes[want.Target()] = all
}

// checkRestored holds that a tenant which says that it is back where it was before
// runs all that it ran there: after a target that failed, and after one that was
// taken back. At the end nothing is missing; before, somebody may have removed it.
func (b *books) checkRestored(r reconcile.Report, f *observed.Tenant, end bool) {
	if !r.Failed || !r.Restored || r.InMotion || b.data || r.Generation == "" {
		return
	}
	was, known := b.wholes[r.Reached]
	if !known {
		b.reached["restored to parts of several"]++
		return
	}
	b.reached["restored"]++
	if r.Reached == r.Target {
		b.fail("back", "says that it is back, and is at the target that failed")
	}
	if hosts := len(f.Route.Entry.Routes); hosts != was.hosts && end {
		b.fail("back", "is back with %d routes, it had %d", hosts, was.hosts)
	}
	there := map[string]bool{}
	for _, i := range f.Instances {
		at := "serves "
		switch {
		case i.Job:
			continue
		case i.Slot == plans.Shared:
			at = "beside "
		case i.Slot != r.Active:
			at = "idle "
		}
		digest, had := was.runs[at+i.Service]
		there[at+i.Service] = true
		switch {
		case at == "idle " && (i.Generation == "" || !had): // or kept for the way back
		case !had && end:
			b.fail("back", "is back, and %s runs, which did not", i.Key)
		case had && digest != i.Digest:
			b.fail("back", "is back, and %s is %s, it was %s", i.Key, i.Digest, digest)
		}
	}
	for name := range plans.Sorted(was.runs) {
		if end && !there[name] && name[:4] != "idle" {
			b.fail("back", "is back, and nothing %s", name)
		}
	}
}
