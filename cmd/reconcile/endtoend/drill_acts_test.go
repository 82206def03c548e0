package endtoend

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// deploy brings all up on 1.24; that goes by the policy too.
func (d *drill) deploy() {
	d.good = d.image("1.24", nil)
	d.commit("fifty tenants on 1.24", d.fleet.all(d.t, d.good))
	d.pass(0)
	d.completed(d.news())
	d.serve("1.24", d.fleet.order)
}

// upgrade goes canary first, then batch by batch.
func (d *drill) upgrade() {
	d.good = d.goTo("1.26", nil)
	d.pass(0)
	d.completed(d.news())
	d.serve("1.26", d.fleet.order)
	d.noted("upgrade")
}

// tripTwice goes on after the first trip, and takes all back after the second.
func (d *drill) tripTwice() {
	all, i, j := d.fleet.order, d.fleet.place(d.first[0]), d.fleet.place(d.second[0])
	before := d.running()
	bad := d.goTo("1.27", map[string]string{"FAIL": "exit", "ONLY": strings.Join(append(slices.Clone(d.first), d.second...), ",")})
	d.pass(3)
	q := d.tripped(all[:i+2], d.first, "serve: told to fail at once")
	d.untouched("first trip", before, all[i:])
	d.serve("1.27", all[:i])
	d.serve("1.26", all[i:])

	d.answer(q, reconcile.ContinueAnyway)
	d.pass(3)
	again := d.tripped(all[i+2:j+2], d.second, "serve: told to fail at once")
	if again == q {
		d.t.Errorf("the second trip asks what the first one asked: %s", q)
	}
	stay := append(slices.Clone(d.first), all[j:]...)
	d.untouched("second trip", before, stay)

	d.answer(again, reconcile.RollbackMoved)
	d.pass(3)
	list := d.news()
	d.decided(list, reconcile.RollbackMoved)
	end := d.one(reconcile.RolloutWentBack, list)
	d.sums(end, "rolledBack", reconcile.Summary{Failed: 4, RolledBack: j - 2, Skipped: len(all) - j - 2})
	d.nobodyStarts(list)
	d.untouched("rollback", before, stay)
	d.serve("1.26", all)
	d.withheld(bad)
	d.noted("roll back")
}

// again reverts the broken version, and merges it again: it stays withheld.
func (d *drill) again() {
	all := d.fleet.order
	before := d.running()
	bad := d.bad
	d.commit("back to 1.26", d.fleet.image(d.t, d.good))
	d.pass(0)
	d.commit("1.27 again", d.fleet.image(d.t, bad))
	d.pass(3)
	d.withheld(bad)
	d.commit("back to 1.26 again", d.fleet.image(d.t, d.good))
	d.pass(0)
	list := d.news()
	d.nobodyStarts(list)
	if found := of(reconcile.RolloutPlanned, list); len(found) > 0 {
		d.t.Errorf("a rollout of what is withheld, or of what runs, was planned: %v", found)
	}
	d.untouched("the broken target again", before, all)
	d.serve("1.26", all)
	d.noted("the broken target again")
}

// abort stops a version that no canary survives.
func (d *drill) abort() {
	all := d.fleet.order
	before := d.running()
	bad := d.goTo("1.28", map[string]string{"FAIL": "health"})
	d.pass(3)
	q := d.tripped(all[:2], all[:2], "serve: version")
	d.untouched("trip of the canaries", before, all)
	d.answer(q, reconcile.AbortRollout)
	d.pass(3)
	list := d.news()
	d.decided(list, reconcile.AbortRollout)
	d.sums(d.one(reconcile.RolloutEnded, list), "aborted", reconcile.Summary{Failed: 2, Skipped: len(all) - 2})
	d.nobodyStarts(list)
	d.untouched("abort", before, all)
	d.serve("1.26", all)
	d.withheld(bad)
	d.noted("abort")
}

// retry mends what the version stumbled over, and carries it to the end.
func (d *drill) retry() {
	all, i := d.fleet.order, d.fleet.place(d.first[0])
	before := d.running()
	d.good = d.goTo("1.29", map[string]string{"FAIL": "unmended", "ONLY": strings.Join(d.first, ",")})
	d.pass(3)
	q := d.tripped(all[:i+2], d.first, "told to fail until it is mended")
	d.untouched("trip", before, all[i:])
	for _, tenant := range d.first {
		d.mend(tenant)
	}
	d.answer(q, reconcile.RetryFailed)
	d.pass(0)
	list := d.news()
	d.decided(list, reconcile.RetryFailed)
	d.sums(d.one(reconcile.RolloutEnded, list), "completed", reconcile.Summary{Upgraded: len(all)})
	if got := tenants(reconcile.RolloutTenantStarted, list); !slices.Equal(got, all[i:]) {
		d.t.Errorf("after the retry %v were started, not %v", got, all[i:])
	}
	d.serve("1.29", all)
	d.converged()
	d.noted("retry")
}

// revert takes a version back in git while the breaker's question is open.
func (d *drill) revert() {
	all, i := d.fleet.order, d.fleet.place(d.first[0])
	before := d.running()
	d.goTo("1.30", map[string]string{"FAIL": "exit", "ONLY": strings.Join(d.first, ",")})
	d.pass(3)
	d.tripped(all[:i+2], d.first, "serve: told to fail at once")
	_, err := d.Revert(d.ctx)
	d.must(err)
	d.pass(0)
	list := d.news()
	d.sums(d.one(reconcile.RolloutEnded, list), "superseded", reconcile.Summary{Upgraded: i, Failed: 2, Skipped: len(all) - i - 2})
	d.nobodyStarts(list)
	if back := tenants(reconcile.TenantSwitched, list); !slices.Equal(slices.Sorted(slices.Values(back)), slices.Sorted(slices.Values(all[:i]))) {
		d.t.Errorf("%v went back, not %v", back, all[:i])
	}
	d.untouched("revert", before, all[i:])
	d.serve("1.29", all)
	d.converged()
	d.noted("revert")
}

// goTo commits another version of the template, and returns its image.
func (d *drill) goTo(version string, env map[string]string) string {
	d.t.Helper()
	ref := d.image(version, env)
	d.commit("edge "+version, d.fleet.image(d.t, ref))
	return ref
}

// answer commits a decision.
func (d *drill) answer(question, answer string) {
	d.t.Helper()
	d.commit(answer, map[string]string{"decisions/" + strings.ReplaceAll(question, ".", "-") + ".yaml": fmt.Sprintf(
		"apiVersion: reconcile/v1\nkind: Decision\nmetadata: {name: %s}\nspec: {question: %s, answer: %s, reason: the drill says so}\n",
		strings.ReplaceAll(question, ".", "-"), question, answer)})
}

// mend puts into a tenant's data what version 1.29 misses there.
func (d *drill) mend(tenant string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.ctx, http.MethodPost, "http://"+d.Proxy+"/data/mended", strings.NewReader("yes"))
	d.must(err)
	req.Host = host(tenant)
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	d.must(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		d.t.Fatalf("mend %s: %s", tenant, res.Status)
	}
}
