package reconcile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// TestRolloutStories runs testdata/rollout/*.txt; see testdata/rollout/README.
// After every decision the machine is made anew from what it wrote down, and
// must have nothing to add.
func TestRolloutStories(t *testing.T) {
	files, err := filepath.Glob("testdata/rollout/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := (&waveStory{wave: newWave(t)}).tell(string(text))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(text) {
				t.Errorf("%s tells another story (run with -rewrite and read the diff):\n%s", file, firstDifference(got, string(text)))
			}
		})
	}
}

type waveStory struct {
	*wave
	out  strings.Builder
	seen int
}

func (s *waveStory) tell(text string) string {
	var all strings.Builder
	for _, block := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		head, _, _ := strings.Cut(block, "\n----")
		all.WriteString(head + "\n")
		commands := 0
		s.out.Reset()
		for _, line := range strings.Split(head, "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			commands++
			s.command(strings.Fields(line))
		}
		if commands > 0 {
			all.WriteString("----\n" + questionIDs.ReplaceAllString(s.out.String(), "$1"))
		}
		all.WriteString("\n")
	}
	return strings.TrimRight(all.String(), "\n") + "\n"
}

// questionIDs cuts what a question's id is made of.
var questionIDs = regexp.MustCompile(`(\.(?:trip\d+|batch\d+|stuck|back))-[0-9a-f]{8}`)

func (s *waveStory) command(f []string) {
	word, args := f[0], f[1:]
	switch word {
	case "policy":
		s.policies[args[0]] = policyOf(s.t, args)
		s.plan()
	case "tenants": // tenants FROM-TO release=r1 policy=p ring=x new
		s.tenants(args)
		s.plan()
	case "release":
		s.commit = args[0]
		s.wants(args[0], strings.Join(args[1:], ""))
		s.plan()
	case "change":
		p := s.puppet(args[0])
		p.target.Aside = args[1]
		s.plan()
	case "commit":
		s.commit = args[0]
		s.plan()
	case "bad":
		for _, a := range args {
			s.bad[a] = true
		}
	case "good":
		for _, a := range args {
			delete(s.bad, a)
		}
	case "hold", "release-hold", "blind", "sight", "sick", "well", "stuck", "unstuck", "relapse", "recover", "flap", "calm", "outage", "repaired", "oneway", "twoway":
		for _, name := range args {
			p := s.puppet(name)
			switch word {
			case "hold", "release-hold":
				p.held = word == "hold"
			case "blind", "sight":
				p.blind = word == "blind"
			case "flap", "calm":
				p.flaps = word == "flap"
			case "outage", "repaired":
				p.outage = word == "outage"
			case "relapse", "recover":
				p.relapses = word == "relapse"
			case "oneway", "twoway":
				p.oneWay = word == "oneway"
			case "stuck", "unstuck":
				p.stuck = word == "stuck"
			default:
				p.degraded = word == "sick"
			}
		}
	case "answer":
		s.answerAll(func([]string) string { return args[0] })
	case "late": // to whatever was asked before
		for _, e := range s.events {
			if e.Kind == reconcile.RolloutQuestion && !s.asks(e.Fields["question"]) {
				s.answers[e.Fields["question"]] = args[0]
			}
		}
		s.runs.Answered()
	case "unseen": // the agent was not there for so long
		d, err := plans.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(d.Std())
		s.runs.Skip(d.Std())
		fmt.Fprintf(&s.out, "moves by itself: %v\n", s.runs.Moves())
	case "alone": // tenants that share no template
		for _, name := range args {
			p := s.puppet(name)
			t := *p.want
			t.Template, t.Release = "", ""
			p.want = &t
		}
		s.plan()
	case "back":
		list := s.runs.List()
		if why := s.runs.CannotGoBack(list[0].ID); why != "" {
			fmt.Fprintf(&s.out, "cannot go back: %s\n", why)
		}
		s.answers[list[0].BackID()] = reconcile.RollbackMoved
		s.runs.Answered()
	case "at": // at 2026-03-29T00:00:00Z
		at, err := time.Parse(time.RFC3339, args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.run(at.Sub(s.now))
	case "gate":
		for _, r := range s.runs.Open() {
			until := ""
			if !r.Gate.Until.IsZero() {
				until = " (in " + r.Gate.Until.Sub(s.now).String() + ")"
			}
			fmt.Fprintf(&s.out, "%s %s for %s: %s; %s%s\n", r.ID, r.Phase, r.Gate.For, r.Gate.Why, r.Gate.Next, until)
		}
	case "restart":
		s.runs = s.reborn()
		for _, p := range s.fleet {
			p.permit = reconcile.Permit{}
		}
		if len(args) == 0 {
			break
		}
		s.runs = s.restored()
		for _, name := range args {
			heard := s.puppet(name).report
			s.runs.Hear(&heard)
		}
		s.take(s.runs.Decide(s.now, s.answers))
		for _, p := range s.fleet {
			if !slices.Contains(args, p.want.Name) {
				p.report = reconcile.Report{} // it is looked at next
			}
		}
	case "run":
		d, err := plans.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.run(d.Std())
	case "show":
		s.show()
	case "runs":
		for _, name := range args {
			fmt.Fprintf(&s.out, "%s runs %s\n", name, s.puppet(name).release)
		}
	case "asks":
		for _, r := range s.runs.Open() {
			s.answersTo(r.Question())
		}
	case "why":
		fmt.Fprintf(&s.out, "%s: %s\n", args[0], s.puppet(args[0]).permit.Why)
	default:
		s.t.Fatalf("unknown command %q", word)
	}
	for _, e := range s.events[s.seen:] {
		if e.Kind == reconcile.RolloutTenantHealth && e.Fields["healthy"] == "true" || e.Kind == reconcile.RolloutTenantStarted {
			continue
		}
		fmt.Fprintf(&s.out, "%s ! %s: %s\n", e.Time.Sub(start), strings.TrimPrefix(e.Kind, "rollout."), e.Text)
		if e.Kind == reconcile.RolloutQuestion {
			r := s.runs.List()[0]
			s.answersTo(r.Question())
		}
	}
	s.seen = len(s.events)
}

func (s *waveStory) answersTo(q *reconcile.Question) {
	if q == nil {
		return
	}
	for a, means := range plans.Sorted(q.Answers) {
		fmt.Fprintf(&s.out, "      %s: %s\n", a, means)
	}
}

// asks says that a question is open.
func (s *waveStory) asks(id string) bool {
	return slices.ContainsFunc(s.runs.List(), func(r reconcile.Rollout) bool { return r.Question() != nil && r.Question().ID == id })
}

func (s *waveStory) tenants(args []string) {
	from, to, _ := strings.Cut(args[0], "-")
	a, _ := strconv.Atoi(from)
	b, _ := strconv.Atoi(to)
	labels, policy, release, running := map[string]string{}, "standard", s.commit, true
	for _, w := range args[1:] {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "new":
			running = false
		case "policy":
			policy = v
		case "release":
			release = v
		default:
			labels[k] = v
		}
	}
	for i := a; i <= b; i++ {
		s.add(fmt.Sprintf("t%02d", i), labels, policy, release, running)
	}
}

func policyOf(t testing.TB, args []string) plans.BatchPolicy {
	p := plans.BatchPolicy{Name: args[0]}
	canary := func() *plans.Canary {
		if p.Canary == nil {
			p.Canary = &plans.Canary{}
		}
		return p.Canary
	}
	for _, a := range args[1:] {
		k, v, _ := strings.Cut(a, "=")
		n, _ := strconv.Atoi(v)
		span := func() plans.Duration {
			d, err := plans.ParseDuration(v)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		switch k {
		case "canary":
			label, value, _ := strings.Cut(v, ":")
			canary().Select = map[string]string{label: value}
		case "count":
			canary().Count = n
		case "canaryBake":
			canary().Bake = span()
		case "pct":
			p.BatchPct = n
		case "size":
			p.BatchSize = n
		case "rings":
			p.Rings = strings.Split(v, ",")
		case "parallel":
			p.Parallelism = n
		case "stagger":
			p.Stagger = span()
		case "bake":
			p.Bake = span()
		case "within":
			p.HealthWithin = span()
		case "max":
			p.MaxConsecutiveFailures = n
		case "ratio":
			p.MaxFailureRatio, _ = strconv.ParseFloat(v, 64)
		case "minHealthy":
			p.MinHealthy = plans.Floor(v)
		case "approval":
			p.Approval = plans.PerBatch
		case "window": // window=sun+mon@22:00-04:00
			days, hours, _ := strings.Cut(v, "@")
			var w plans.Window
			w.From, w.To, _ = strings.Cut(hours, "-")
			if days != "" {
				w.Days = strings.Split(days, "+")
			}
			p.Windows = append(p.Windows, w)
		case "freeze": // freeze=2026-03-01..2026-03-02
			var f plans.Freeze
			f.From, f.To, _ = strings.Cut(v, "..")
			p.Freeze = append(p.Freeze, f)
		case "zone":
			p.TimeZone, p.Zone = berlin.Name, berlin
		case "onTrip":
			p.OnTrip = v
		default:
			t.Fatalf("unknown %s", k)
		}
	}
	return p
}

func (s *waveStory) show() {
	for _, r := range s.runs.List() {
		fmt.Fprintf(&s.out, "%s %s %s→%s: %s", r.ID, r.Phase, r.From, r.To, r.Summary)
		if r.Why != "" {
			fmt.Fprintf(&s.out, " (%s)", r.Why)
		}
		s.out.WriteString("\n")
		members := s.runs.Members(r.ID)
		for len(members) > 0 {
			n := slices.IndexFunc(members, func(m reconcile.RolloutMember) bool { return m.Batch != members[0].Batch })
			if n < 0 {
				n = len(members)
			}
			name := "later"
			if b := members[0].Batch; b != 0 {
				name = reconcile.BatchName(b)
			}
			fmt.Fprintf(&s.out, "  %s:", name)
			for _, m := range members[:n] {
				fmt.Fprintf(&s.out, " %s", m.Tenant)
				if m.Class != "" {
					fmt.Fprintf(&s.out, "=%s", m.Class)
				}
			}
			s.out.WriteString("\n")
			members = members[n:]
		}
	}
}
