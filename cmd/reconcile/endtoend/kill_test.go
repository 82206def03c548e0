package endtoend

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// The reconciler is killed at every boundary as it comes, and started again:
// first deployment, upgrade, failing upgrade and removal end as they do where
// nobody is killed.
func TestChainedKillProcess(t *testing.T) { chainedKill(t, process) }

func TestChainedKillDocker(t *testing.T) { chainedKill(t, engine) }

func chainedKill(t *testing.T, runtime string) {
	t.Parallel()
	calm, drill := chaosWorld(t, runtime), chaosWorld(t, runtime)
	calm.chaos = "note:" + filepath.Join(calm.Dir, "boundaries")
	drill.chaos = "chain:" + filepath.Join(drill.Dir, "boundaries")
	want, got := calm.life(), drill.life()
	t.Logf("killed %d times at %d kinds of boundaries", drill.kills, len(names(t, drill)))
	for i := range want {
		if want[i].text != got[i].text {
			t.Errorf("%s ends differently where the reconciler was killed:\n%s", want[i].name, differences(want[i].text, got[i].text))
		}
	}
	// After a crash the way on may be another one, to the same end.
	t.Logf("boundaries only met without kills: %s; only with kills: %s",
		missing(names(t, calm), names(t, drill)), missing(names(t, drill), names(t, calm)))
	if met := len(names(t, calm)); drill.kills < 2*met {
		t.Errorf("killed %d times only, where a life without kills meets %d kinds of boundaries", drill.kills, met)
	}
}

// chapter is how a part of a life ended.
type chapter struct{ name, text string }

// life plays a tenant's life, from its first deployment to its removal.
func (w *world) life() []chapter {
	w.t.Helper()
	f := fleet{name: w.name, image: w.image("1.0", nil), tenants: []string{"ant"}, bake: "200ms"}
	var chapters []chapter
	end := func(name string, r stage.Result) {
		chapters = append(chapters, chapter{name, w.told("ant", r) + w.files()})
	}
	w.commit("ant on 1.0", f.files())
	end("first deployment", w.pass(0))

	crowd := w.crowd(f.tenants, load.Config{Workers: map[load.Kind]int{load.Get: 1, load.Post: 1, load.Fresh: 1, load.Stream: 3}, Think: 20 * time.Millisecond, Long: 300 * time.Millisecond})
	f.image = w.image("1.1", nil)
	w.commit("ant on 1.1", map[string]string{"app.yaml": f.template()})
	end("upgrade", w.pass(0))
	w.answers("ant", "1.1")

	f.image, f.within = w.image("1.2", map[string]string{"FAIL": "health"}), "3s"
	w.commit("ant on 1.2, which is broken", map[string]string{"app.yaml": f.template()})
	end("failing upgrade", w.pass(3))
	w.answers("ant", "1.1")
	crowd.goHome()

	w.clear("ant")
	return append(chapters, chapter{"removal", w.files()})
}

// told is how a tenant is after a pass, without times and ids.
func (w *world) told(tenant string, r stage.Result) string {
	w.t.Helper()
	out, err := w.Run(w.ctx, "explain", tenant, "-o", "json")
	if err != nil {
		w.t.Fatal(err)
	}
	var e agent.Explanation
	if err := json.Unmarshal([]byte(out.Stdout), &e); err != nil {
		w.t.Fatalf("explain: %v\n%s%s", err, out.Stdout, out.Stderr)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "exit %d\n%s", r.Exit, summary(r.Stdout))
	fmt.Fprintf(&b, "%s %s active %s generation %s: %s\n", e.Status.State, e.Status.Reason, e.Status.ActiveSlot, e.Status.Generation, plain(e.Status.Why))
	for _, route := range e.Facts.Route.Entry.Routes {
		fmt.Fprintf(&b, "route %s%s to %s, addresses of %d slots\n", route.Host, route.Path, e.Facts.Route.Entry.Slot, len(route.Address))
	}
	for _, v := range []struct {
		name string
		of   *reconcile.Version
	}{{"current", e.Record.Current}, {"kept", e.Record.Kept}, {"idle", e.Record.Idle}} {
		if v.of != nil {
			fmt.Fprintf(&b, "%s %s %s baked %v settled %v data %v\n", v.name, v.of.Slot, v.of.Generation, v.of.Baked, v.of.Settled, slices.Sorted(maps.Keys(v.of.Data)))
		}
	}
	for _, held := range e.Record.Withheld {
		fmt.Fprintf(&b, "withheld %s: %s: %s\n", held.Target.Core, held.Reason, plain(held.Why))
	}
	fmt.Fprintf(&b, "attempt under way: %v\n", e.Record.Attempt != nil)
	var lines []string
	for _, in := range e.Facts.Instances {
		lines = append(lines, fmt.Sprintf("instance %s %s of %s", in.Key, in.Phase, in.Generation))
	}
	for _, d := range e.Facts.Datasets {
		lines = append(lines, fmt.Sprintf("dataset %s %s role %s origin %v", d.Slot, d.Volume, d.Role, d.Origin != ""))
	}
	slices.Sort(lines)
	return b.String() + strings.Join(lines, "\n") + "\n"
}

// files are those below the state directory, without ids.
func (w *world) files() string {
	w.t.Helper()
	var names []string
	err := filepath.WalkDir(w.State, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !strings.Contains(path, "/repo.git/") {
			names = append(names, "file "+plain(strings.TrimPrefix(path, w.State)))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(names, "\n")
}

var (
	durations = regexp.MustCompile(`\b[0-9.]+(µs|ms|s)\b`)
	attempts  = regexp.MustCompile(`\ba[0-9]+-[0-9a-f]{4}\b`)
	questions = regexp.MustCompile(`\b(retry|removal)-[0-9a-f]{8}\b`)
	rollouts  = regexp.MustCompile(`\bro-[0-9a-f]{6}(-[0-9]+)?(\.trip[0-9]+-[0-9a-f]{8})?\b`)
	exits     = regexp.MustCompile(`, last exit status [0-9]+`) // of one that runs again it is not known
	instants  = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}[.0-9]*)?( UTC|Z)?)?`)
)

// plain is text without what differs from one run to the next.
func plain(s string) string {
	for re, with := range map[*regexp.Regexp]string{durations: "TIME", attempts: "ATTEMPT", questions: "${1}-ID", rollouts: "ROLLOUT", exits: "", instants: "DATE"} {
		s = re.ReplaceAllString(s, with)
	}
	return s
}

// summary are the lines a pass ends with.
func summary(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "blocked") || strings.HasPrefix(line, "later") {
			b.WriteString(plain(line))
		}
	}
	return b.String()
}

// names are the kinds of boundaries a world came by.
func names(t *testing.T, w *world) []string {
	t.Helper()
	_, file, _ := strings.Cut(w.chaos, ":")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		name, _, _ := strings.Cut(line, "\t")
		all = append(all, name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// missing are those of want that are not in got.
func missing(want, got []string) (none []string) {
	for _, s := range want {
		if !slices.Contains(got, s) {
			none = append(none, s)
		}
	}
	return none
}

// differences are the lines that only one of two texts has.
func differences(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out []string
	for _, s := range missing(a, b) {
		out = append(out, "  without kills: "+s)
	}
	for _, s := range missing(b, a) {
		out = append(out, "  with kills:    "+s)
	}
	if out == nil {
		return "  the same lines in another order or number"
	}
	return strings.Join(out, "\n")
}
