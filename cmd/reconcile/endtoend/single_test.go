package endtoend

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
)

// One run for each kind of boundary that an upgrade or a failing one comes by:
// killed there once, the next pass ends as if nothing had happened.
func TestSingleKillsProcess(t *testing.T) { singleKills(t, process) }

func TestSingleKillsDocker(t *testing.T) {
	if !*soak {
		t.Skip("on Docker this is a long form (-soak); the chained kill comes by the same boundaries")
	}
	singleKills(t, engine)
}

func singleKills(t *testing.T, runtime string) {
	t.Parallel()
	w := chaosWorld(t, runtime)
	f := fleet{name: w.name, image: w.image("1.0", nil), tenants: []string{"ant"}, bake: "100ms"}
	w.commit("ant on 1.0", f.files())
	w.pass(0)
	crowd := w.crowd(f.tenants, load.Config{Workers: map[load.Kind]int{load.Get: 1, load.Post: 1, load.Fresh: 1, load.Stream: 3}, Think: 20 * time.Millisecond, Long: 200 * time.Millisecond})

	// An upgrade, and from there a failing one; what they come by, and how they end.
	version := 0
	upgrade := func(env map[string]string) {
		version++
		f.image = w.image(fmt.Sprintf("2.%d", version), env)
		w.commit(fmt.Sprintf("ant on 2.%d", version), map[string]string{"app.yaml": f.template()})
	}
	broken := map[string]string{"FAIL": "health"}
	for _, story := range []struct {
		name   string
		env    map[string]string
		within string // short only where it has to pass
		exit   int
	}{{"upgrade", nil, "20s", 0}, {"failing upgrade", broken, "700ms", 3}} {
		f.within = story.within
		upgrade(story.env) // the first of its kind may have something to retire
		w.chaos = ""
		w.pass(story.exit)
		w.chaos = "note:" + filepath.Join(w.Dir, strings.Fields(story.name)[0])
		upgrade(story.env)
		want := outline(w.told("ant", w.pass(story.exit)))
		all := names(t, w)
		var missed []string
		for _, at := range all {
			killed := false
			for range 3 {
				upgrade(story.env)
				if killed = w.killedAt(at); killed {
					break
				}
			}
			if !killed {
				missed = append(missed, at)
			}
			w.chaos = ""
			if got := outline(w.told("ant", w.pass(story.exit))); got != want {
				t.Errorf("%s killed at %s ends differently:\n%s", story.name, at, differences(want, got))
			}
		}
		// Only a wait (bake, drain, soak) may be over before its boundary comes.
		for _, at := range missed {
			if !strings.Contains(at, "/commit/") || len(missed) > 3 {
				t.Errorf("%s: never killed at %s, though another run came by it", story.name, at)
			}
		}
		t.Logf("%s: killed at each of %d kinds of boundaries, but for %q: %s", story.name, len(all), missed, strings.Join(all, " "))
	}
	crowd.goHome()
	w.chaos = ""
	w.clear("ant")
}

var generations = regexp.MustCompile(`\bg1:[0-9a-f]+`)

// outline is how a tenant ends, whatever came before: generations are numbered
// as they are named, slots are this one and that one, and of what is withheld
// just the newest is told.
func outline(text string) string {
	numbers := map[string]string{}
	text = generations.ReplaceAllStringFunc(text, func(g string) string {
		short := g[:min(len(g), shortDigest)]
		if numbers[short] == "" {
			numbers[short] = fmt.Sprintf("G%d", len(numbers)+1)
		}
		return numbers[short]
	})
	if strings.Contains(text, "active green") {
		text = strings.NewReplacer("blue", "that", "green", "this").Replace(text)
	} else {
		text = strings.NewReplacer("blue", "this", "green", "that").Replace(text)
	}
	lines := strings.Split(text, "\n")
	isHeld := func(s string) bool { return strings.HasPrefix(s, "withheld") }
	kept := lines[:0]
	for i, line := range lines {
		if !isHeld(line) || !slices.ContainsFunc(lines[i+1:], isHeld) {
			kept = append(kept, line)
		}
	}
	slices.Sort(kept)
	return strings.Join(kept, "\n")
}

// shortDigest is the length of a generation as sentences have it: "g1:" and
// eight digits.
const shortDigest = 11
