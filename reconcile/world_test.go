package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// world is a host so small that a story can say everything about it: it carries
// out actions at once, and fails just those a story told it to.
type world struct {
	now   time.Time
	facts observed.Tenant
	rev   uint64
	seq   int
	// images say how instances behave, by the part of the reference after @.
	images map[string]string
	fails  []failure
	ports  map[string]int
	specs  map[string]plans.Core
	svcs   map[string]plans.Service
	seenID map[string]bool // holds the data plane has met
	holdAt time.Time
	exits  map[string]time.Time // id → when a job or a crash ends it
	files  map[string]string
	dark   *observed.Problem // the prober cannot look
	// written is how much was written to a dataset since any snapshot of it.
	written map[string]int64
	atMost  bool  // that it is a bound
	free    int64 // that preflight finds; 0: it does not say
}

// failure is one scripted failure of an action.
type failure struct {
	match   string // part of the action id
	problem observed.Problem
	times   int
	after   bool          // the reply is lost: it happens all the same
	lie     bool          // it is said to be done and is not
	needs   time.Duration // it takes so long, if its limit lets it
}

var start = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func newWorld() *world {
	w := &world{now: start, images: map[string]string{}, ports: map[string]int{}, specs: map[string]plans.Core{},
		svcs: map[string]plans.Service{}, exits: map[string]time.Time{}, files: map[string]string{}, seenID: map[string]bool{}, written: map[string]int64{}}
	w.look()
	return w
}

func (w *world) env() *reconcile.Env {
	return &reconcile.Env{Fleet: "fleet", Node: "n1", Commit: "c1",
		Port: func(k plans.Key, name string) int {
			key := k.String() + "/" + name
			if w.ports[key] == 0 {
				w.ports[key] = 20001 + len(w.ports)
			}
			return w.ports[key]
		},
		Core:        func(g string) (plans.Core, bool) { c, ok := w.specs[g]; return c, ok },
		Service:     func(d string) (plans.Service, bool) { s, ok := w.svcs[d]; return s, ok },
		PointInTime: func(d string) bool { return d == "zfs" },
		CheapClone:  func(d string) bool { return d != "dir" },
	}
}

// learn keeps what digests name, as the agent does.
func (w *world) learn(t *plans.Tenant) {
	w.specs[t.Core.Generation()] = t.Core
	if t.Idle != nil {
		w.specs[t.Idle.Generation()] = *t.Idle
	}
	for _, s := range t.Aside {
		w.svcs[s.Digest()] = s
	}
}

// look brings the facts up to now: health, exits and the end of a hold.
func (w *world) look() {
	f := &w.facts
	for _, s := range []*observed.Sight{&f.Runtime, &f.Router, &f.Storage} {
		if s.Err == nil {
			s.At = w.now
		}
	}
	f.Inputs = w.files
	if f.Runtime.Err == nil {
		for i := range f.Instances {
			w.age(&f.Instances[i])
		}
	}
	r := &f.Route
	if h := r.Entry.Hold; h != nil && !w.now.Before(w.holdAt.Add(h.Limit.Std())) {
		r.Held, r.Expired = false, true
	}
}

func (w *world) age(i *observed.Instance) {
	if end, ok := w.exits[i.ID]; ok && i.Phase == observed.Running && !w.now.Before(end) {
		i.Phase = observed.Exited
		switch kind := w.images[i.Image]; {
		case kind == "bad":
			i.Exit = 3
		case kind == "crash":
			i.Exit = 1
		}
	}
	if i.Phase != observed.Running || i.Job {
		if i.Phase == observed.Exited {
			i.Health = observed.Health{}
		}
		return
	}
	up, kind := w.now.Sub(i.Started), w.images[i.Image]
	verdict := observed.Healthy
	switch {
	case kind == "mute":
		return
	case kind == "sick" && up < 60*time.Second, up < 3*time.Second, kind == "slow" && up < 20*time.Second:
		verdict = observed.Unproven
	case kind == "sick", kind == "late" && up >= 15*time.Second:
		verdict = observed.Failing
	}
	h := &i.Health
	if h.Err = w.dark; h.Err != nil {
		h.At = w.now
		return
	}
	if h.Verdict != verdict {
		h.Since = w.now
	}
	h.Verdict, h.At, h.Run = verdict, w.now, 2
	h.Last = map[observed.Verdict]string{observed.Healthy: "GET /: 200", observed.Failing: "GET /: 500"}[verdict]
	if verdict == observed.Unproven && kind != "" {
		h.Last = "GET /: connection refused"
	}
}

// do carries out one action.
func (w *world) do(a reconcile.Action) reconcile.Result {
	res := reconcile.Result{ID: a.ID, Verb: a.Verb}
	for i := range w.fails {
		f := &w.fails[i]
		if f.times == 0 || !strings.Contains(ids.ReplaceAllString(a.ID, "$1"), f.match) {
			continue
		}
		f.times--
		if f.needs > 0 {
			res.Took = min(f.needs, a.Limit)
			w.now = w.now.Add(res.Took)
			if f.needs <= a.Limit {
				continue
			}
			res.Problem = &observed.Problem{Op: string(a.Verb), Class: observed.Environment, Text: "took longer than its limit of " + a.Limit.String()}
			return res
		}
		if f.lie {
			return res
		}
		p := f.problem
		p.Op = string(a.Verb)
		res.Problem = &p
		if !f.after {
			return res
		}
	}
	if p := w.effect(a, &res); p != nil {
		res.Problem = p
	}
	return res
}

func (w *world) effect(a reconcile.Action, res *reconcile.Result) *observed.Problem {
	f := &w.facts
	at := func(k plans.Key) int {
		return slices.IndexFunc(f.Instances, func(i observed.Instance) bool { return i.Key == k })
	}
	switch a.Verb {
	case reconcile.Check:
		w.checks(a)
	case reconcile.Pull:
		if _, d, _ := strings.Cut(a.Image, "@"); w.images[d] == "missing" {
			return &observed.Problem{Op: "pull", Ref: a.Image, Class: observed.Refused, Text: "manifest unknown", Hint: "push it"}
		}
	case reconcile.Start:
		w.start(*a.Instance)
	case reconcile.Stop:
		if i := at(a.Key); i >= 0 {
			f.Instances[i].Phase, f.Instances[i].Health = observed.Exited, observed.Health{}
		}
	case reconcile.Remove:
		if i := at(a.Key); i >= 0 {
			f.Instances = slices.Delete(f.Instances, i, i+1)
		}
	case reconcile.SetRouted:
		if i := at(a.Key); i >= 0 {
			f.Instances[i].Routed = a.Routed
		}
	case reconcile.Route:
		return w.route(a)
	case reconcile.Unroute:
		f.Route = observed.Route{}
		w.rev++
	case reconcile.Confirm:
		if f.Route.Entry.Slot != a.Entry.Slot {
			return &observed.Problem{Op: "confirm", Class: observed.Conflict, Text: "answered by " + string(f.Route.Entry.Slot)}
		}
	case reconcile.Cut:
		u := f.Route.Slots[a.Slot]
		res.Cut, u.InFlight = u.InFlight, 0
		f.Route.Slots[a.Slot] = u
	case reconcile.Forget:
	default:
		return w.data(a, res)
	}
	return nil
}

func (w *world) checks(a reconcile.Action) {
	of := a.Generation
	if of == "" {
		of = a.Digest
	}
	for _, c := range a.Checks {
		line := observed.Check{ID: c.ID, For: of, At: w.now, OK: true}
		if c.Kind == "space" && w.free > 0 {
			line.Free = map[string]int64{"disk": w.free}
			if w.free <= c.Above["disk"] {
				line.OK, line.Problem = false, &observed.Problem{Class: observed.Environment, Text: fmt.Sprintf("%d bytes free were not enough", w.free), Full: true}
			}
		}
		for i := range w.fails {
			if f := &w.fails[i]; f.times > 0 && f.match == c.ID {
				f.times--
				p := f.problem
				line.OK, line.Problem = false, &p
			}
		}
		w.facts.Preflight = slices.DeleteFunc(w.facts.Preflight, func(o observed.Check) bool { return o.ID == c.ID && o.For == of })
		w.facts.Preflight = append(w.facts.Preflight, line)
	}
}

func (w *world) start(in plans.Instance) {
	f := &w.facts
	_, image, _ := strings.Cut(in.Spec.Image, "@")
	i := slices.IndexFunc(f.Instances, func(o observed.Instance) bool { return o.Key == in.Key })
	if i < 0 {
		w.seq++
		f.Instances = append(f.Instances, observed.Instance{Key: in.Key, ID: fmt.Sprintf("i%d", w.seq), Digest: in.Digest,
			Generation: in.Generation, Attempt: in.Attempt, Image: image, Job: in.Spec.Job != nil, Routed: in.Routed, Ports: in.Ports})
		slices.SortFunc(f.Instances, func(a, b observed.Instance) int { return strings.Compare(a.Key.String(), b.Key.String()) })
		i = slices.IndexFunc(f.Instances, func(o observed.Instance) bool { return o.Key == in.Key })
	}
	o := &f.Instances[i]
	if o.Phase == observed.Running {
		return
	}
	o.Phase, o.Started, o.Health = observed.Running, w.now, observed.Health{}
	delete(w.exits, o.ID)
	switch kind := w.images[image]; {
	case kind == "hang":
	case o.Job:
		w.exits[o.ID] = w.now.Add(2 * time.Second)
	case kind == "crash":
		w.exits[o.ID] = w.now.Add(time.Second)
	}
}

func (w *world) route(a reconcile.Action) *observed.Problem {
	r := &w.facts.Route
	if a.Revision != r.Revision {
		return &observed.Problem{Op: "route", Class: observed.Conflict, Text: "the revision moved"}
	}
	w.rev++
	if h := a.Entry.Hold; h != nil && !w.seenID[h.ID] {
		w.seenID[h.ID], w.holdAt = true, w.now
	}
	if r.Entry.Slot != a.Entry.Slot {
		if r.Slots == nil {
			r.Slots = map[plans.Slot]observed.Usage{}
		}
		u := r.Slots[a.Entry.Slot]
		r.Slots[a.Entry.Slot] = observed.Usage{InFlight: u.InFlight}
	}
	r.Entry, r.Revision, r.Held, r.Expired = *a.Entry, w.rev, a.Entry.Hold != nil, false
	return nil
}

func (w *world) data(a reconcile.Action, res *reconcile.Result) *observed.Problem {
	f := &w.facts
	at := func(id string) int {
		return slices.IndexFunc(f.Datasets, func(d observed.Dataset) bool { return d.ID == id })
	}
	add := func(d observed.Dataset) {
		if at(d.ID) < 0 {
			d.Tenant, d.Ready, d.Created = a.Tenant, true, w.now
			f.Datasets = append(f.Datasets, d)
			slices.SortFunc(f.Datasets, func(a, b observed.Dataset) int { return strings.Compare(a.ID, b.ID) })
		}
	}
	switch v := a.Volume; a.Verb {
	case reconcile.Create:
		id := "ds/" + v.Name + "@" + number(v.Attempt)
		add(observed.Dataset{ID: id, Volume: v.Name, Slot: v.Slot, Role: v.Role, Attempt: v.Attempt, Generation: v.Generation, Path: "/" + id, Tuning: v.Volume.Tuning(),
			Imported: v.Volume.Import, Driver: v.Volume.Driver})
	case reconcile.Snapshot:
		for _, id := range a.Datasets {
			src := f.Datasets[at(id)]
			if src.Driver != v.Volume.Driver {
				return &observed.Problem{Op: "snapshot", Ref: id, Class: observed.Conflict, Text: "there is no such dataset of driver " + v.Volume.Driver}
			}
			add(observed.Dataset{ID: id + "#" + number(v.Attempt), Volume: src.Volume, Role: observed.Origin, Attempt: v.Attempt, Generation: src.Generation, Origin: id, Driver: src.Driver})
		}
	case reconcile.Clone:
		id := "ds/" + v.Name + "@" + number(v.Attempt)
		add(observed.Dataset{ID: id, Volume: v.Name, Slot: v.Slot, Role: v.Role, Attempt: v.Attempt, Generation: v.Generation, Path: "/" + id, Origin: a.Dataset, Tuning: v.Volume.Tuning(),
			Driver: v.Volume.Driver})
	case reconcile.Tune:
		f.Datasets[at(a.Dataset)].Tuning = v.Volume.Tuning()
	case reconcile.Retain:
		f.Datasets[at(a.Dataset)].Holds = []string{a.Tag}
	case reconcile.Release:
		f.Datasets[at(a.Dataset)].Holds = nil
	case reconcile.Measure:
		res.Bytes, res.AtMost, res.Since = w.written[a.Dataset], w.atMost, a.Datasets[0]
	case reconcile.Promote:
		w.promote(a.Dataset)
	case reconcile.SetRole:
		f.Datasets[at(a.Dataset)].Role, f.Datasets[at(a.Dataset)].Slot = a.Role, a.Slot
	case reconcile.Destroy:
		for _, d := range f.Datasets {
			if d.ID == a.Dataset && len(d.Holds) > 0 {
				return &observed.Problem{Op: "destroy", Ref: a.Dataset, Class: observed.Refused, Text: "it is held"}
			}
			if d.Origin == a.Dataset {
				return &observed.Problem{Op: "destroy", Ref: a.Dataset, Class: observed.Refused, Text: "it is the origin of " + d.ID}
			}
		}
		f.Datasets = slices.Delete(f.Datasets, at(a.Dataset), at(a.Dataset)+1)
	}
	return nil
}

// promote has a clone take over what it came from, and what is older: as on ZFS
// under its own name, and what they were taken of is a clone then.
func (w *world) promote(id string) {
	f := &w.facts
	at := func(id string) int {
		return slices.IndexFunc(f.Datasets, func(d observed.Dataset) bool { return d.ID == id })
	}
	for n := at(f.Datasets[at(id)].Origin); n >= 0; n = at(f.Datasets[at(id)].Origin) {
		from, of := f.Datasets[n], f.Datasets[n].Origin
		for i := range f.Datasets {
			s := &f.Datasets[i]
			if s.Role != observed.Origin || s.Origin != of || s.Created.After(from.Created) {
				continue
			}
			was := s.ID
			s.ID, s.Origin = id+strings.TrimPrefix(was, of), id
			for j := range f.Datasets {
				if f.Datasets[j].Origin == was {
					f.Datasets[j].Origin = s.ID
				}
			}
		}
		clone := &f.Datasets[at(id)]
		clone.Origin = ""
		if o := at(of); o >= 0 {
			clone.Origin, f.Datasets[o].Origin = f.Datasets[o].Origin, id+strings.TrimPrefix(from.ID, of)
		}
	}
	slices.SortFunc(f.Datasets, func(a, b observed.Dataset) int { return strings.Compare(a.ID, b.ID) })
}

// number is an attempt id without its digest, so that stories stay readable.
func number(attempt string) string {
	head, tail, _ := strings.Cut(attempt, "-")
	if head == "removal" {
		return attempt
	}
	if strings.HasSuffix(tail, "r") || strings.HasSuffix(tail, "empty") {
		return head + "r"
	}
	return head
}

// next is when an instance ends by itself; zero: none does.
func (w *world) next() time.Time {
	var first time.Time
	for i := range w.facts.Instances {
		in := &w.facts.Instances[i]
		end, ok := w.exits[in.ID]
		if ok && in.Phase == observed.Running && end.After(w.now) && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	return first
}
