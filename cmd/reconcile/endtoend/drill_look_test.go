package endtoend

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// running is every instance that runs, by tenant and slot, and what would be
// another one's if it were started again. It is looked up where the runtime has
// it, not asked of reconcile.
func (w *world) running() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	if w.Runtime == process {
		list, err := w.Processes()
		w.must(err)
		for _, p := range list {
			if f := strings.Fields(p.Command); len(f) > 2 && f[0] == "reconcile-shim" && f[1] == "run" {
				all[f[2]] = strconv.Itoa(p.PID) // which ends with its instance
			}
		}
		return all
	}
	cmd := exec.CommandContext(w.ctx, "sh", "-c", `docker ps -q --no-trunc --filter label=reconcile.node="$NODE" | xargs -r docker inspect -f `+
		`'{{index .Config.Labels "reconcile.tenant"}}/{{index .Config.Labels "reconcile.slot"}} {{.Id}} {{.State.StartedAt}} {{.State.Pid}}'`)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+w.DockerHost, "NODE="+w.Node)
	out, err := cmd.Output()
	w.must(err)
	for line := range strings.Lines(string(out)) {
		key, is, _ := strings.Cut(strings.TrimSpace(line), " ")
		all[key] = is
	}
	return all
}

// untouched wants exactly what ran of these tenants to run still.
func (w *world) untouched(what string, before map[string]string, tenants []string) {
	w.t.Helper()
	after := w.running()
	of := func(all map[string]string, tenant string) (list []string) {
		for key, is := range all {
			if strings.HasPrefix(key, tenant+"/") {
				list = append(list, key+" "+is)
			}
		}
		slices.Sort(list)
		return list
	}
	for _, tenant := range tenants {
		was, is := of(before, tenant), of(after, tenant)
		if len(was) == 0 || !slices.Equal(was, is) {
			w.t.Errorf("%s: %s was touched: %q ran, %q runs", what, tenant, was, is)
		}
	}
}

// news are the events since the last call.
func (d *drill) news() []reconcile.Event {
	d.t.Helper()
	r, err := d.Run(d.ctx, "events", "-o", "json")
	d.must(err)
	var list []reconcile.Event
	for line := range strings.Lines(r.Stdout) {
		var e journal.Logged
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			d.t.Fatalf("events: %v: %s%s", err, line, r.Stderr)
		}
		if e.Seq > d.seen {
			d.seen = e.Seq
			list = append(list, e.Event)
		}
	}
	d.told = append(d.told, list...)
	return list
}

// overview is the whole status, as reconcile tells it.
func (w *world) overview() agent.Status {
	w.t.Helper()
	r, err := w.Run(w.ctx, "status", "-o", "json")
	w.must(err)
	var s agent.Status
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		w.t.Fatalf("status: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	return s
}

// of are the events of a kind.
func of(kind string, list []reconcile.Event) (found []reconcile.Event) {
	for _, e := range list {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// one is the only event of a kind.
func (d *drill) one(kind string, list []reconcile.Event) reconcile.Event {
	d.t.Helper()
	found := of(kind, list)
	if len(found) != 1 {
		d.t.Fatalf("%s came %d times, not once: %v\n%s", kind, len(found), found, d.state())
	}
	return found[0]
}

// state is what a person would look at where something is not as it should be.
func (w *world) state() string {
	var all strings.Builder
	for _, verb := range [][]string{{"rollout", "list"}, {"questions"}, {"status"}} {
		r, err := w.Run(w.ctx, verb...)
		fmt.Fprintf(&all, "reconcile %s\n%s%s", strings.Join(verb, " "), r.Stdout, r.Stderr)
		if err != nil {
			fmt.Fprintln(&all, err)
		}
	}
	return all.String()
}

// tenants are those that events of a kind are about.
func tenants(kind string, list []reconcile.Event) (names []string) {
	for _, e := range of(kind, list) {
		names = append(names, e.Tenant)
	}
	return names
}

// summaryOf is the summary an event carries.
func summaryOf(e reconcile.Event) reconcile.Summary {
	n := func(field string) int {
		n, err := strconv.Atoi(e.Fields[field])
		if err != nil {
			return -1
		}
		return n
	}
	return reconcile.Summary{Upgraded: n("upgraded"), Failed: n("failed"), RolledBack: n("rolledBack"),
		Skipped: n("skipped"), Held: n("held"), Unknown: n("unknown")}
}

// stands is how the whole fleet is, without times and ids.
func (d *drill) stands() string {
	d.t.Helper()
	var b strings.Builder
	for _, e := range d.told {
		switch e.Kind {
		case reconcile.RolloutPlanned, reconcile.RolloutBatchStarted, reconcile.RolloutTenantStarted, reconcile.RolloutTenantFailed,
			reconcile.RolloutBatchCompleted, reconcile.RolloutBreakerTripped, reconcile.RolloutDecision, reconcile.RolloutEnded, reconcile.RolloutWentBack:
			fmt.Fprintf(&b, "%s %s\n", e.Kind, plain(e.Text))
		}
	}
	d.told = nil
	s := d.overview()
	for _, r := range s.Rollouts {
		fmt.Fprintf(&b, "rollout %s: %s\n", r.Phase, r.Summary)
	}
	for _, t := range s.Tenants {
		fmt.Fprintf(&b, "%s %s %s active %s kept %s generation %s\n", t.Name, t.State, t.Reason, t.ActiveSlot, t.Kept, t.Generation)
	}
	table, err := d.Routes(d.ctx)
	d.must(err)
	for _, name := range slices.Sorted(maps.Keys(table.Routes)) {
		fmt.Fprintf(&b, "route of %s to %s\n", name, table.Routes[name].Entry.Slot)
	}
	for _, key := range slices.Sorted(maps.Keys(d.running())) {
		fmt.Fprintf(&b, "%s runs\n", key)
	}
	return b.String()
}
