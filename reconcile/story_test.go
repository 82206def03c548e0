package reconcile_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

var rewrite = flag.Bool("rewrite", false, "write the stories' output as it is now; read the diff before committing it")

// TestStories runs testdata/step/*.txt: commands, then ----, then what came of
// them, up to an empty line. See testdata/step/README.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/step/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newStory(t).tell(string(text))
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

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			at := func(l []string) string { return strings.Join(l[min(i, len(l)):min(i+4, len(l))], "\n") }
			return fmt.Sprintf("line %d\ngot:\n%s\nwant:\n%s", i+1, at(g), at(w))
		}
	}
	return ""
}

// story is one run of the machine on a tiny world.
type story struct {
	t         *testing.T
	w         *world
	want      *plans.Tenant
	rec       reconcile.Record
	last      reconcile.Report
	results   []reconcile.Result
	answers   map[string]string
	permit    *reconcile.Permit
	env       reconcile.Env
	open      bool
	retry     bool
	local     reconcile.Local
	data      *reconcile.DataWord
	elsewhere string
	out       strings.Builder
	said      string
}

func newStory(t *testing.T) *story {
	w := newWorld()
	return &story{t: t, w: w, answers: map[string]string{}, env: *w.env()}
}

// tell runs a story and returns its text with what came of it.
func (s *story) tell(text string) string {
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
			s.command(line)
		}
		if commands > 0 {
			all.WriteString("----\n" + ids.ReplaceAllString(s.out.String(), "$1"))
		}
		all.WriteString("\n")
	}
	return strings.TrimRight(all.String(), "\n") + "\n"
}

// ids cuts the digests of attempts and questions, which say nothing to a reader.
var ids = regexp.MustCompile(`(\ba\d+|\.[a-z-]+|removal)-[0-9a-f]{4,8}\b`)

func (s *story) command(line string) {
	word, rest, _ := strings.Cut(line, " ")
	args := strings.Fields(rest)
	f := &s.w.facts
	switch word {
	case "plan":
		s.want = tenant(s.t, args)
		s.w.learn(s.want)
	case "gone":
		s.want = nil
	case "image":
		s.w.images[args[0]] = args[1]
	case "permit":
		s.permit = &reconcile.Permit{Why: rest}
		if rest == "yes" {
			s.permit = nil
		}
	case "open":
		s.open = rest == "yes"
	case "retry":
		s.retry = true
	case "rollback":
		s.local = reconcile.GoBack
	case "lie":
		times, _ := strconv.Atoi(args[1])
		s.w.fails = append(s.w.fails, failure{match: args[0], times: times, lie: true})
	case "fail", "lose":
		times := 1
		if len(args) > 3 {
			times, _ = strconv.Atoi(args[3])
		}
		s.w.fails = append(s.w.fails, failure{match: args[0], times: times, after: word == "lose",
			problem: observed.Problem{Class: observed.Class(args[1]), Text: strings.ReplaceAll(args[2], "_", " "), Hint: "look at the host"}})
		if p := &s.w.fails[len(s.w.fails)-1].problem; p.Class == "full" {
			p.Class, p.Full = observed.Environment, true
		}
	case "long":
		needs, err := plans.ParseDuration(args[1])
		if err != nil {
			s.t.Fatal(err)
		}
		times, _ := strconv.Atoi(args[2])
		s.w.fails = append(s.w.fails, failure{match: args[0], times: times, needs: needs.Std()})
	case "free":
		s.w.free, _ = strconv.ParseInt(args[0], 10, 64)
	case "dark":
		s.w.dark = &observed.Problem{Op: "probe", Class: observed.Environment, Text: "no route to host"}
	case "light":
		s.w.dark = nil
	case "newborn":
		s.results = nil
		for i := range f.Instances {
			f.Instances[i].Health = observed.Health{}
		}
	case "expire":
		s.w.holdAt = time.Time{}
	case "back-in-time":
		s.w.now = s.w.now.Add(-time.Hour)
	case "blind":
		s.sight(args[0]).Err = &observed.Problem{Op: "look", Class: observed.Environment, Text: "connection refused"}
	case "sight":
		s.sight(args[0]).Err = nil
	case "kill", "rm", "swap", "restarts", "log":
		s.person(word, args[0])
	case "extra":
		slot, service, _ := strings.Cut(args[0], "/")
		f.Instances = append(f.Instances, observed.Instance{Key: plans.Key{Tenant: "acme", Slot: plans.Slot(slot), Service: service},
			ID: "extra", Digest: "s1:extra", Phase: observed.Running})
	case "route":
		s.w.rev++
		f.Route.Entry.Slot, f.Route.Revision = plans.Slot(args[0]), s.w.rev
	case "usage":
		s.usage(args)
	case "written":
		n, _ := strconv.ParseInt(args[1], 10, 64)
		s.w.written[args[0]], s.w.atMost = n, slices.Contains(args, "atMost")
	case "restore", "propose":
		snapshot := args[0]
		for _, d := range f.Datasets { // stories cut the digests of attempts
			if ids.ReplaceAllString(d.ID, "$1") == snapshot {
				snapshot = d.ID
			}
		}
		s.data = &reconcile.DataWord{Snapshot: snapshot, Granted: word == "restore"}
	case "lock", "unlock":
		for i := range f.Datasets {
			if d := &f.Datasets[i]; ids.ReplaceAllString(d.ID, "$1") == args[0] {
				d.Ready, d.Problem = word == "unlock", nil
				if !d.Ready {
					d.Problem = &observed.Problem{Op: "use", Ref: d.ID, Class: observed.Environment, Text: "its key is not loaded", Hint: "run zfs load-key"}
				}
			}
		}
	case "doom": // its destruction was cut off
		for i := range f.Datasets {
			if d := &f.Datasets[i]; ids.ReplaceAllString(d.ID, "$1") == args[0] {
				d.Doomed, d.Ready, d.Role, d.Origin, d.Holds = true, false, observed.Discarded, "", nil
			}
		}
	case "late-data":
		d := observed.Dataset{ID: args[0], Tenant: "acme", Volume: args[1], Role: observed.Live, Attempt: "late", Ready: true, Created: s.w.now}
		if of, mark, taken := strings.Cut(args[0], "#"); taken {
			d.Role, d.Origin, d.Attempt = observed.Origin, of, mark
		}
		f.Datasets = append(f.Datasets, d)
	case "lose-data":
		f.Datasets = slices.DeleteFunc(f.Datasets, func(d observed.Dataset) bool { return ids.ReplaceAllString(d.ID, "$1") == args[0] })
	case "foreign":
		f.Foreign = args
	case "elsewhere":
		s.elsewhere = rest
	case "file":
		s.w.files = map[string]string{args[0]: args[1]}
	case "forget":
		s.rec = reconcile.Record{}
	case "env":
		s.env.Empty = slices.Contains(args, "empty")
		s.env.OtherController = ""
		if i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "other=") }); i >= 0 {
			s.env.OtherController = strings.TrimPrefix(args[i], "other=")
		}
	case "unknown-spec":
		s.w.specs = map[string]plans.Core{}
	case "lose-service":
		for d, svc := range plans.Sorted(s.w.svcs) {
			if strings.HasSuffix(svc.Image, "@"+args[0]) {
				delete(s.w.svcs, d)
			}
		}
	case "answer":
		if s.last.Question == nil {
			s.t.Errorf("answer %s: there is no question", rest)
			return
		}
		s.answers[s.last.Question.ID] = rest
	case "report":
		s.report()
	case "facts":
		s.facts()
	case "run":
		d, err := plans.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.run(d.Std())
	case "until":
		s.until(args[0])
	case "step":
		s.step()
	case "pass":
		d, err := plans.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.w.now = s.w.now.Add(d.Std())
	default:
		s.t.Fatalf("unknown command %q", word)
	}
}

func (s *story) sight(part string) *observed.Sight {
	f := &s.w.facts
	return map[string]*observed.Sight{"runtime": &f.Runtime, "router": &f.Router, "storage": &f.Storage}[part]
}

// person is somebody who does things behind our back.
func (s *story) person(word, what string) {
	f := &s.w.facts
	slot, service, _ := strings.Cut(what, "/")
	i := slices.IndexFunc(f.Instances, func(i observed.Instance) bool {
		return string(i.Slot) == slot && (i.Service == service || service == "*")
	})
	if i < 0 {
		s.t.Fatalf("%s %s: there is none", word, what)
	}
	switch word {
	case "kill":
		f.Instances[i].Phase, f.Instances[i].Exit, f.Instances[i].Health = observed.Exited, 137, observed.Health{}
	case "restarts":
		f.Instances[i].Restarts += 3
	case "log":
		f.Instances[i].Log = "panic: no such table"
	case "swap":
		f.Instances[i].Digest = "s1:other"
	case "rm":
		f.Instances = slices.Delete(f.Instances, i, i+1)
	}
}

func (s *story) usage(args []string) {
	r := &s.w.facts.Route
	slot := plans.Slot(args[0])
	u := r.Slots[slot]
	for _, a := range args[1:] {
		key, v, _ := strings.Cut(a, "=")
		n, _ := strconv.Atoi(v)
		switch key {
		case "inflight":
			u.InFlight = n
		case "requests":
			u.Requests = uint64(n)
		case "writes":
			u.Writes = uint64(n)
		case "errors":
			u.Errors = uint64(n)
		case "millis":
			u.Millis = uint64(n)
		}
	}
	slots := map[plans.Slot]observed.Usage{slot: u}
	for k, v := range r.Slots {
		if k != slot {
			slots[k] = v
		}
	}
	r.Slots = slots
}

// run steps and acts until the time is over, waking as the machine asks.
func (s *story) run(d time.Duration) {
	end := s.w.now.Add(d)
	for range 10000 {
		dec := s.step()
		if s.act(dec) {
			continue
		}
		wake := dec.Wake
		if !wake.IsZero() && !wake.After(s.w.now) {
			s.t.Fatalf("at %s: asks to wake at once and does nothing: %s", s.at(), dec.Report.Why)
		}
		if n := s.w.next(); !n.IsZero() && (wake.IsZero() || n.Before(wake)) {
			wake = n
		}
		if wake.IsZero() || wake.After(end) {
			s.w.now = end
			return
		}
		s.w.now = wake
	}
	lines := strings.Split(s.out.String(), "\n")
	s.t.Fatalf("no end in sight:\n%s", strings.Join(lines[max(0, len(lines)-12):], "\n"))
}

// until runs to the end of the action whose id holds what, and looks at nothing after.
func (s *story) until(what string) {
	for range 10000 {
		dec := s.step()
		if s.act(dec) {
			if slices.ContainsFunc(dec.Actions, func(a reconcile.Action) bool { return strings.Contains(ids.ReplaceAllString(a.ID, "$1"), what) }) {
				return
			}
			continue
		}
		wake := dec.Wake
		if n := s.w.next(); !n.IsZero() && (wake.IsZero() || n.Before(wake)) {
			wake = n
		}
		if wake.IsZero() {
			break
		}
		s.w.now = wake
	}
	s.t.Fatalf("%s is never ordered", what)
}

func (s *story) at() string { return s.w.now.Sub(start).String() }

// step asks the machine once, twice over, and prints what is new.
func (s *story) step() reconcile.Decision {
	s.w.look()
	in := reconcile.Input{Name: "acme", Want: s.want, Facts: &s.w.facts, Results: s.results, Answers: s.answers,
		Retry: s.retry, Local: s.local, Data: s.data, Elsewhere: s.elsewhere, Now: s.w.now, Env: &s.env}
	if s.permit != nil {
		in.Permit = *s.permit
	} else if s.want != nil {
		in.Permit = reconcile.Permit{Go: true, Target: s.want.Target()}
	}
	in.Permit.Open = s.open
	s.results, s.retry, s.local, s.data = nil, false, "", nil
	before := encode(s.t, s.rec)
	dec, rec := reconcile.Step(in, s.rec)
	again, rec2 := reconcile.Step(in, s.rec)
	if encode(s.t, s.rec) != before {
		s.t.Fatalf("at %s: the step changed the record that was handed in", s.at())
	}
	if !reflect.DeepEqual(dec, again) || encode(s.t, rec) != encode(s.t, rec2) {
		s.t.Fatalf("at %s: the same step twice decides differently", s.at())
	}
	scribble(reflect.ValueOf(&rec2).Elem())
	if encode(s.t, s.rec) != before {
		s.t.Fatalf("at %s: the record that was returned shares memory with the one handed in", s.at())
	}
	// A record must survive its journal.
	var stored reconcile.Record
	if err := json.Unmarshal([]byte(encode(s.t, rec)), &stored); err != nil {
		s.t.Fatal(err)
	}
	kept := encode(s.t, stored)
	if stored.Compact(); encode(s.t, stored) != kept {
		s.t.Fatalf("at %s: a compact record is another one:\n%s\n%s", s.at(), encode(s.t, stored), kept)
	}
	s.rec, s.last = stored, dec.Report
	for _, e := range dec.Events {
		fmt.Fprintf(&s.out, "%s ! %s: %s%s\n", s.at(), e.Kind, e.Text, fieldsOf(e))
	}
	r := dec.Report
	said := fmt.Sprintf("%s %s %s: %s", r.State, r.Reason, r.Phase, r.Why)
	if said != s.said {
		s.said = said
		fmt.Fprintf(&s.out, "%s = %s\n", s.at(), strings.Join(strings.Fields(said), " "))
		if r.Next != "" {
			fmt.Fprintf(&s.out, "%s   next: %s\n", s.at(), r.Next)
		}
	}
	return dec
}

// fieldsOf are the fields a story is told of.
func fieldsOf(e reconcile.Event) string {
	text := ""
	if cut := e.Fields["cut"]; cut != "" && cut != "0" {
		text += " (cut " + cut + ")"
	}
	if log := e.Fields["log"]; log != "" {
		text += " (log: " + log + ")"
	}
	return text
}

func (s *story) act(dec reconcile.Decision) bool {
	for _, a := range dec.Actions {
		res := s.w.do(a)
		s.results = append(s.results, res)
		fmt.Fprintf(&s.out, "%s > %s%s\n", s.at(), strings.TrimPrefix(a.ID, "acme/"), detail(a))
		if res.Problem != nil {
			fmt.Fprintf(&s.out, "%s   %s: %s\n", s.at(), res.Problem.Class, res.Problem)
			break
		}
	}
	return len(dec.Actions) > 0
}

func detail(a reconcile.Action) string {
	switch {
	case a.Verb == reconcile.Route:
		held := ""
		if a.Entry.Hold != nil {
			held = " held"
		}
		return " → " + string(a.Entry.Slot) + held
	case a.Verb == reconcile.SetRouted:
		return " " + strconv.FormatBool(a.Routed)
	case a.Verb == reconcile.SetRole:
		return " " + string(a.Role)
	case a.Verb == reconcile.Tune:
		return " " + a.Volume.Volume.Tuning()
	}
	return ""
}

func (s *story) report() {
	r := s.last
	fmt.Fprintf(&s.out, "%s %s %s\n", r.State, r.Reason, r.Why)
	fmt.Fprintf(&s.out, "op %q active %s kept %s done %v failed %v restored %v\n", string(r.Op), r.Active, r.Kept, r.Done, r.Failed, r.Restored)
	if r.BackFailed != "" {
		fmt.Fprintf(&s.out, "back failed: %s\n", r.BackFailed)
	}
	if r.Unwell != "" {
		fmt.Fprintf(&s.out, "unwell since %s: %s\n", r.UnwellSince.Sub(start), r.Unwell)
	}
	if r.Unseen != "" {
		fmt.Fprintf(&s.out, "unseen: %s\n", r.Unseen)
	}
	if q := r.Question; q != nil {
		fmt.Fprintf(&s.out, "? %s: %s\n", q.ID, q.Text)
		for a, means := range plans.Sorted(q.Answers) {
			fmt.Fprintf(&s.out, "  %s: %s\n", a, means)
		}
	}
	for _, d := range r.Drift {
		fmt.Fprintf(&s.out, "drift %s %s\n", d.Kind, d.Text)
	}
}

func (s *story) facts() {
	f := &s.w.facts
	for _, i := range f.Instances {
		fmt.Fprintf(&s.out, "%s/%s %s %s routed=%v\n", i.Slot, i.Service, i.Image, i.Phase, i.Routed)
	}
	for _, d := range f.Datasets {
		fmt.Fprintln(&s.out, strings.TrimSuffix(fmt.Sprintf("%s %s %s %s", d.ID, d.Role, d.Slot, d.Tuning), " "))
	}
	fmt.Fprintf(&s.out, "routes → %s\n", f.Route.Entry.Slot)
}

func encode(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// scribble writes over everything a value points to, but the routes of entries:
// those are never changed in place, and shared.
func scribble(v reflect.Value) {
	if v.Type() == reflect.TypeFor[[]plans.EntryRoute]() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			scribble(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				scribble(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if e := v.MapIndex(k); e.Kind() == reflect.Pointer {
				scribble(e)
			}
			v.SetMapIndex(k, reflect.Zero(v.Type().Elem()))
		}
	case reflect.String:
		v.SetString("scribbled")
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(7)
	}
}
