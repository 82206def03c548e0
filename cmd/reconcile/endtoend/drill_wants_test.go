package endtoend

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// Times of the policy, where the example has minutes.
const (
	canaryBake = 400 * time.Millisecond
	batchBake  = 200 * time.Millisecond
)

// completed wants a rollout of all to have gone by the policy, to its end.
func (d *drill) completed(list []reconcile.Event) {
	d.t.Helper()
	all := d.fleet.order
	if planned := d.one(reconcile.RolloutPlanned, list); planned.Fields["members"] != fmt.Sprint(len(all)) {
		d.t.Errorf("it was planned as %q", planned.Text)
	}
	if got := tenants(reconcile.RolloutTenantStarted, list); !slices.Equal(got, all) {
		d.t.Errorf("started in the order %v, not %v", got, all)
	}
	// One batch after the other, each well for its bake before the next.
	var sizes []string
	var well time.Time // since when the batch is
	open := false
	for _, e := range list {
		switch e.Kind {
		case reconcile.RolloutBatchStarted:
			if open {
				d.t.Errorf("a batch began inside another one: %s", e.Text)
			}
			sizes, open = append(sizes, e.Fields["batch"]+":"+e.Fields["size"]), true
		case reconcile.RolloutTenantStarted:
			if !open {
				d.t.Errorf("%s was started in no batch", e.Tenant)
			}
		case reconcile.RolloutTenantHealth:
			well = e.Time
		case reconcile.RolloutBatchCompleted:
			bake := batchBake
			if e.Fields["batch"] == "canary" {
				bake = canaryBake
			}
			if is := e.Time.Sub(well); is < bake {
				d.t.Errorf("%s: it was well for %s only, not %s", e.Text, is, bake)
			}
			open = false
		}
	}
	if got := strings.Join(sizes, " "); got != d.sizes {
		d.t.Errorf("batches %s, not %s", got, d.sizes)
	}
	d.sums(d.one(reconcile.RolloutEnded, list), "completed", reconcile.Summary{Upgraded: len(all)})
	d.converged()
}

// converged wants all to be there, with the digest of the plan read back.
func (d *drill) converged() {
	d.t.Helper()
	s := d.overview()
	_, digest, _ := strings.Cut(d.good, "@")
	for _, t := range s.Tenants {
		if t.State != reconcile.Converged || len(t.Services) != 1 || !t.Services[0].Healthy || !strings.Contains(t.Services[0].Image, digest) {
			d.t.Errorf("%s is %s %s with %+v, not converged on %s", t.Name, t.State, t.Reason, t.Services, digest)
		}
	}
	if len(s.Tenants) != len(d.fleet.order) || len(s.Rollouts) > 0 {
		d.t.Errorf("status has %d tenants and %d open rollouts", len(s.Tenants), len(s.Rollouts))
	}
}

// tripped wants the breaker to have stopped the rollout after just these two,
// and just these to have been started since the events were looked at last. It
// returns what is asked.
func (d *drill) tripped(started, failed []string, log string) string {
	d.t.Helper()
	list := d.news()
	if got := tenants(reconcile.RolloutTenantStarted, list); !slices.Equal(got, started) {
		d.t.Errorf("%v were started, not %v", got, started)
	}
	if got := tenants(reconcile.RolloutTenantFailed, list); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(failed))) {
		d.t.Errorf("%v failed, not %v", got, failed)
	}
	trip := d.one(reconcile.RolloutBreakerTripped, list)
	if trip.Fields["failed"] != strings.Join(failed, ",") || !strings.Contains(trip.Text, "2 failures in a row (maxConsecutiveFailures 2)") ||
		// Who is killed may not have read the last output before what said it was gone.
		d.chaos == "" && !strings.Contains(trip.Fields["log"]+trip.Text, log) {
		d.t.Errorf("it tripped otherwise: %s %v", trip.Text, trip.Fields)
	}
	asked := d.one(reconcile.RolloutQuestion, list).Fields["question"]
	s := d.overview()
	if len(s.Rollouts) != 1 || s.Rollouts[0].Phase != reconcile.RolloutWaiting || s.Rollouts[0].Question() == nil {
		d.t.Fatalf("no rollout waits for an answer: %+v", s.Rollouts)
	}
	r := s.Rollouts[0]
	if q := r.Question(); q.ID != asked || len(q.Answers) != 4 {
		d.t.Errorf("status asks %+v, the event %s", q, asked)
	}
	// Whoever was moved runs the new version, whoever was not is as before; of
	// those that failed it is said that they are back.
	upgraded := d.fleet.place(failed[0])
	if failed[0] == d.second[0] {
		upgraded -= 2
	}
	if r.Summary.Upgraded != upgraded || r.Summary.Failed != d.fleet.place(failed[1])+1-upgraded {
		d.t.Errorf("at the trip it is %+v", r.Summary)
	}
	for _, t := range s.Tenants {
		want := reconcile.Waiting
		switch place := d.fleet.place(t.Name); {
		case slices.Contains(failed, t.Name), failed[0] == d.second[0] && slices.Contains(d.first, t.Name):
			want = reconcile.HeldBack
		case place < d.fleet.place(failed[0]):
			want = reconcile.Converged
		}
		if t.State != want {
			d.t.Errorf("%s is %s %s (%s), not %s", t.Name, t.State, t.Reason, t.Why, want)
		}
	}
	return asked
}

// decided wants an answer to have been carried out.
func (d *drill) decided(list []reconcile.Event, answer string) {
	d.t.Helper()
	if e := d.one(reconcile.RolloutDecision, list); e.Fields["answer"] != answer {
		d.t.Errorf("%s was carried out, not %s", e.Fields["answer"], answer)
	}
}

// sums wants the end of a rollout, with its outcome, to add up so.
func (d *drill) sums(end reconcile.Event, outcome string, want reconcile.Summary) {
	d.t.Helper()
	if got := summaryOf(end); got != want || end.Fields["outcome"] != outcome {
		d.t.Errorf("%s: %s %+v, not %s %+v", end.Text, end.Fields["outcome"], got, outcome, want)
	}
}

// nobodyStarts wants no tenant to have been let go to a new target.
func (d *drill) nobodyStarts(list []reconcile.Event) {
	d.t.Helper()
	if got := tenants(reconcile.RolloutTenantStarted, list); len(got) > 0 {
		d.t.Errorf("%v were started", got)
	}
}

// withheld wants all to be held back from an image, with a reason, and to be
// well on the one that all run.
func (d *drill) withheld(bad string) {
	d.t.Helper()
	d.bad = bad
	_, digest, _ := strings.Cut(d.good, "@")
	for _, t := range d.overview().Tenants {
		if t.State != reconcile.HeldBack || !slices.Contains([]string{reconcile.Failed, reconcile.RolledBack, reconcile.Aborted}, t.Reason) ||
			len(t.Services) != 1 || !t.Services[0].Healthy || !strings.Contains(t.Services[0].Image, digest) || t.ActiveSlot == plans.NoSlot {
			d.t.Errorf("%s is %s %s with %+v, not held back on %s", t.Name, t.State, t.Reason, t.Services, digest)
		}
	}
}

// serve wants tenants to be answered by themselves in a version.
func (d *drill) serve(version string, tenants []string) {
	d.t.Helper()
	for _, tenant := range tenants {
		d.answers(tenant, version)
	}
}

// noted keeps how an act ended.
func (d *drill) noted(name string) {
	d.t.Helper()
	d.chapters = append(d.chapters, chapter{name, d.stands()})
}
