package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/sim/fleet"
)

// drill is a rollout of so many tenants in batches of ten, stopped in the second:
// two are on their way, one failed, one will be passed over.
func drill(tenants int, asks bool) agent.RolloutView {
	v := agent.RolloutView{
		Rollout: reconcile.Rollout{ID: "ro-1f3a2b", Policy: "standard", Template: "platform", Phase: reconcile.RolloutRunning, Since: noon,
			Planned: noon.Add(-10 * time.Minute), Size: tenants, Batch: 2, Open: true,
			Gate: reconcile.Gate{For: reconcile.GateHealth, Why: "2 tenants are on the way", Next: "the batch bakes", Since: noon}},
		Breaker: "2 failures in a row, stops it and asks", ETA: noon.Add(5*time.Minute + 40*time.Second), BackQuestion: "ro-1f3a2b.back-2d34c912"}
	put := func(name string, number int, state string, of int, class func(i int) agent.MemberView) {
		b := agent.BatchView{Name: name, Number: number, State: state}
		for i := range of {
			m := class(i)
			m.Tenant = fmt.Sprintf("tenant-%03d", len(v.Batches)*10+i)
			b.Members = append(b.Members, m)
			if m.Class == "pending" || m.Class == "moving" {
				v.Left++
			} else {
				v.Done++
			}
		}
		v.Batches = append(v.Batches, b)
	}
	member := func(class string) agent.MemberView { return agent.MemberView{Class: class} }
	put("canary", reconcile.CanaryBatch, "passed", 2, func(int) agent.MemberView { return member("upgraded") })
	left := tenants - 2
	for n := 1; left > 0; n++ {
		size := min(10, left)
		left -= size
		name := reconcile.BatchName(n)
		switch n {
		case 1:
			put(name, n, "passed", size, func(i int) agent.MemberView {
				if i != 3 {
					return member("upgraded")
				}
				m := member("failed")
				m.RolloutMember = reconcile.RolloutMember{Class: reconcile.ClassFailed, Restored: true, From: plans.Target{Core: "g1:670da367"}, Why: "GET /health: 500", Log: "listening on :8080\nfatal: no such table: users\n"}
				return m
			})
		case 2:
			put(name, n, "open", size, func(i int) agent.MemberView {
				if i < 2 && !asks {
					m := member("moving")
					m.Phase = []reconcile.Phase{reconcile.Verify, reconcile.Launch}[i]
					return m
				}
				return member("pending")
			})
		default:
			put(name, n, "later", size, func(i int) agent.MemberView {
				m := member("pending")
				if i == 4 {
					m.Would, m.Because = reconcile.ClassHeld, "a person holds it"
				}
				return m
			})
		}
	}
	v.Summary = reconcile.Summary{Upgraded: v.Done - 1, Failed: 1}
	if asks {
		v.Phase, v.Why = reconcile.RolloutWaiting, "2 failures in a row (maxConsecutiveFailures 2)"
		v.Gate = reconcile.Gate{For: reconcile.GateQuestion, Why: "a person", Since: noon}
		v.Question = &reconcile.Question{ID: "ro-1f3a2b.trip1-9c4e0d11", Since: noon, Text: "rollout ro-1f3a2b of template platform is stopped: 2 failures in a row",
			Answers: map[string]string{"abort": "leave the 11 that were moved", "retry": "try the 2 failed again, then go on"}}
	}
	return v
}

// Rollouts from fixed values, for terminals of several sizes.
func TestRolloutScreens(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	wide, narrow := screen{columns: 120, rows: 40}, screen{columns: 60, rows: 24}
	for name, draw := range map[string]func(io.Writer){
		"rollout": func(w io.Writer) { writeRollout(w, drill(32, false), screen{}) },
		"rollout_window": func(w io.Writer) {
			v := drill(22, false)
			v.Gate = reconcile.Gate{For: reconcile.GateWindow, Why: "no window is open", Next: "batch 2 begins at Sat 2026-11-28 03:00 CET", Until: noon.Add(48 * time.Hour)}
			v.Note = "ring small has no tenant here"
			writeRollout(w, v, screen{})
		},
		"rollout_asks":   func(w io.Writer) { writeRollout(w, drill(32, true), screen{}) },
		"rollout_wide":   func(w io.Writer) { io.WriteString(w, wide.picture(ref(drill(52, false)))) },
		"rollout_narrow": func(w io.Writer) { io.WriteString(w, narrow.picture(ref(drill(52, true)))) },
		"rollout_large":  func(w io.Writer) { io.WriteString(w, narrow.picture(ref(drill(1002, false)))) },
		"rollout_colours": func(w io.Writer) {
			io.WriteString(w, strings.ReplaceAll(screen{columns: 80, rows: 30, color: true}.picture(ref(drill(22, false))), "\x1b", "ESC"))
		},
		"rollout_line": func(w io.Writer) { fmt.Fprintln(w, rolloutLine(ref(drill(32, true)), noon)) },
		"rollouts":     func(w io.Writer) { writeRollouts(w, []agent.RolloutView{drill(32, true), drill(52, false)}, screen{}) },
		"simulation": func(w io.Writer) {
			writeSimulation(w, fleet.Result{Seeds: 1000, Fail: 0.02, Tenants: 60, Waves: []fleet.Wave{
				{Policy: "standard", Template: "edge", Tenants: 50, Held: 1, Completed: 946, Tripped: 54,
					Duration: fleet.Spread{P50: 38 * time.Minute, P90: 75 * time.Minute, Max: 50 * time.Hour}, Stopped: fleet.Spread{P50: 67 * time.Second, P90: time.Hour, Max: 2 * time.Hour},
					Broken: fleet.Count{P90: 1, Max: 3}, Failed: fleet.Count{P50: 1, P90: 2, Max: 5}, Moved: fleet.Count{P50: 49, P90: 50, Max: 50}},
				{Template: "jobs", Tenants: 10, RolledBack: 1000, Stopped: fleet.Spread{P50: 1500 * time.Millisecond, P90: 2 * time.Second, Max: 3 * time.Second}},
			}})
		},
		"rollouts_none": func(w io.Writer) { writeRollouts(w, nil, screen{}) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			draw(&b)
			golden(t, name, b.String())
		})
	}
}

func ref[T any](v T) *T { return &v }

// golden compares a screen with the one that is kept; -update keeps it anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "screens", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("screen %s:\n%s\nwant:\n%s", name, got, want)
	}
}

// A picture never is larger than the terminal, however many tenants there are
// and whatever is asked.
func TestPictureFitsTheTerminal(t *testing.T) {
	for _, tenants := range []int{3, 22, 52, 302, 10002} {
		for _, size := range [][2]int{{40, 20}, {80, 24}, {200, 50}} {
			for _, asks := range []bool{false, true} {
				s := screen{columns: size[0], rows: size[1]}
				text := s.picture(ref(drill(tenants, asks)))
				lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
				if len(lines) >= s.rows {
					t.Errorf("%d tenants, %v, asks %v: %d lines\n%s", tenants, size, asks, len(lines), text)
				}
				for _, l := range lines {
					if n := utf8.RuneCountInString(l); n > s.columns {
						t.Errorf("%d tenants, %v, asks %v: %d columns: %s", tenants, size, asks, n, l)
					}
				}
			}
		}
	}
}

func TestWhole(t *testing.T) {
	ids := []string{"ro-1f3a2b", "ro-1f3a2b-2", "ro-1f77aa", "ro-9c0000"}
	for given, want := range map[string]string{
		"ro-1f3a2b": "ro-1f3a2b", "ro-1f3a2b-": "ro-1f3a2b-2", "9": "ro-9c0000", "ro-9": "ro-9c0000", "1f7": "ro-1f77aa",
	} {
		if got, err := whole(ids, given, "rollout", "reconcile rollout list"); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", given, got, err, want)
		}
	}
	for given, want := range map[string]string{"ro-1f3": "2 begin so: ro-1f3a2b, ro-1f3a2b-2", "f3": "none has this id", "": "it is empty"} {
		if _, err := whole(ids, given, "rollout", "reconcile rollout list"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", given, err, want)
		}
	}
}

func TestDecisionFile(t *testing.T) {
	got, err := decisionFile("x-trip1", "x.trip1", "abort", `5xx: "login" #1`, strings.Repeat("many words ", 12))
	if err != nil {
		t.Fatal(err)
	}
	const want = `# many words many words many words many words many words many words many words many words
# many words many words many words many words
apiVersion: reconcile/v1
kind: Decision
metadata: {name: x-trip1}
spec:
  question: x.trip1
  answer: abort
  reason: '5xx: "login" #1'
`
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	for question, name := range map[string]string{"ro-1f3a2b.trip1-9c4e0d11": "ro-1f3a2b-trip1-9c4e0d11", "adopt-00ff": "adopt-00ff", strings.Repeat("a", 62) + ".b": strings.Repeat("a", 62)} {
		if got := decisionName(question); got != name {
			t.Errorf("%s: %s", question, got)
		}
	}
}
