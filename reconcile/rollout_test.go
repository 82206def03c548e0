package reconcile_test

import (
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// member makes one of a rollout: "acme:platform/r2:moving".
func member(text string) reconcile.Member {
	f := strings.Split(text, ":")
	template, release, _ := strings.Cut(f[1], "/")
	m := reconcile.Member{Want: &plans.Tenant{Name: f[0], Template: template, Release: release}, Target: plans.Target{Core: "g2"}}
	m.Report = reconcile.Report{Tenant: f[0], Target: m.Target, Release: "r1"}
	for _, word := range f[2:] {
		switch word {
		case "moving":
			m.Report.InMotion = true
		case "done":
			m.Report.Done, m.Report.Release = true, release
		case "failed":
			m.Report.Failed, m.Report.State = true, reconcile.HeldBack
		case "held":
			m.Report.State = reconcile.Held
		case "blocked":
			m.Report.State = reconcile.HeldBack
		case "silent":
			m.Report.Target = plans.Target{Core: "g1"}
		case "removed":
			m.Want.Removed = true
		case "there":
			m.Report.Release = release
		case "vanished":
			m.Want = nil
		}
	}
	return m
}

// TestPermits: one after the other within a change, and none after a failure.
func TestPermits(t *testing.T) {
	for name, c := range map[string]struct{ members, want string }{
		"the first begins":                      {"a:p/r2 b:p/r2 c:p/r2", "go | waits for a | waits for a"},
		"one in motion":                         {"a:p/r2:done b:p/r2:moving c:p/r2", "go | go | waits for b"},
		"the next":                              {"a:p/r2:done b:p/r2:done c:p/r2", "go | go | go"},
		"a failure stops":                       {"a:p/r2:failed b:p/r2 c:p/r2", "go | a failed | a failed"},
		"and the one on its way back":           {"a:p/r2:moving:failed b:p/r2", "go | a failed"},
		"one in motion finishes":                {"a:p/r2:failed b:p/r2:moving", "go | go"},
		"other templates":                       {"a:p/r2:failed b:q/r7 c:/", "go | go | go"},
		"its own change":                        {"a:p/r2:failed b:p/r2:there c:p/r2:there", "go | go | go"},
		"a failure of its own":                  {"a:p/r2:failed:there b:p/r2", "go | go"},
		"another release":                       {"a:p/r2:failed b:p/r3", "go | go"},
		"held ones are passed over":             {"a:p/r2:held b:p/r2", "go | go"},
		"blocked ones too":                      {"a:p/r2:blocked b:p/r2", "go | go"},
		"but not after a failure":               {"a:p/r2:blocked b:p/r2:failed", "b failed | go"},
		"who has not spoken yet waits its turn": {"a:p/r2:silent b:p/r2:silent", "go | waits for a"},
		"removals do not wait":                  {"a:p/r2 b:p/r2:removed", "go | go"},
		"vanished":                              {"a:p/r2:vanished b:p/r2", "stay | go"},
		"none":                                  {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var members []reconcile.Member
			for _, text := range strings.Fields(c.members) {
				members = append(members, member(text))
			}
			var got []string
			for i, p := range reconcile.Permits(members) {
				switch {
				case p.Go && p.Target != members[i].Target:
					t.Errorf("the leave is for %v", p.Target)
				case p.Go:
					got = append(got, "go")
				case p.Why == "":
					got = append(got, "stay")
				default:
					got = append(got, firstWords(p.Why))
				}
			}
			if g := strings.Join(got, " | "); g != c.want {
				t.Errorf("%s: %s, want %s", c.members, g, c.want)
			}
		})
	}
}

// firstWords are the words up to the name in a reason.
func firstWords(why string) string {
	f := strings.Fields(strings.ReplaceAll(why, ",", ""))
	n := 2 // "acme failed"
	if f[0] == "waits" {
		n = 3 // "waits for acme"
	}
	return strings.Join(f[:n], " ")
}
