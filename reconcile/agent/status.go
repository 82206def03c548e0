package agent

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// Status is the node at a glance. The first fields, and those of TenantStatus
// down to Next, are fixed for scripts.
type Status struct {
	Commit  string         `json:"commit"`
	Tenants []TenantStatus `json:"tenants"`

	Fleet    string      `json:"fleet"`
	Node     string      `json:"node"`
	Now      time.Time   `json:"now"`
	Accepted time.Time   `json:"accepted,omitzero"` // when the plan in force was
	Source   SourceState `json:"source,omitzero"`
	// Journal says since when the journal can not be written: what is here is
	// as it was last seen, and nothing is acted on.
	Journal JournalState `json:"journal,omitzero"`
	Looked  time.Time    `json:"looked,omitzero"` // last full look
	// Controller is another controller's id found beside the route table.
	Controller string `json:"otherController,omitempty"`
	// Rollouts are those that are not closed.
	Rollouts []reconcile.Rollout `json:"rollouts,omitempty"`
	// Failed are the tenants that failed in those of them that are stopped.
	Failed []FailedTenant `json:"failed,omitempty"`
	// Local are the answers given on this host, newest first.
	Local []LocalDecision `json:"local,omitempty"`
	// Notices are decisions of the plan that are of no effect here, and what of
	// the host works and is not as it should be (Config.Notices).
	Notices []string `json:"notices,omitempty"`
}

// FailedTenant is one that failed in a rollout whose breaker tripped: why, by its
// last answer, and its last output.
type FailedTenant struct {
	Rollout string `json:"rollout"`
	reconcile.Failure
}

// TenantStatus is one tenant.
type TenantStatus struct {
	Name       string          `json:"name"`
	State      reconcile.State `json:"state"`
	ActiveSlot plans.Slot      `json:"activeSlot"`
	Generation string          `json:"generation"`
	Services   []ServiceStatus `json:"services"`
	Since      time.Time       `json:"since"`
	Why        string          `json:"why"`
	Next       string          `json:"next"`

	Reason   string              `json:"reason,omitempty"`
	Phase    reconcile.Phase     `json:"phase,omitempty"`
	Op       string              `json:"op,omitempty"`
	Target   plans.Target        `json:"target,omitzero"`
	Wake     time.Time           `json:"wake,omitzero"`
	Kept     plans.Slot          `json:"kept,omitempty"`
	Until    time.Time           `json:"keptUntil,omitzero"`
	Question *reconcile.Question `json:"question,omitempty"`
	Problem  *observed.Problem   `json:"problem,omitempty"`
	Drift    []reconcile.Drift   `json:"drift,omitempty"`
	Hosts    []string            `json:"hosts,omitempty"`
}

// ServiceStatus is one service in the slot that serves, and beside it.
type ServiceStatus struct {
	Name    string `json:"name"`
	Image   string `json:"image"`
	Running bool   `json:"running"`
	Healthy bool   `json:"healthy"`

	Slot     plans.Slot `json:"slot"`
	Text     string     `json:"text,omitempty"` // last probe answer
	Restarts int        `json:"restarts,omitempty"`
	Since    time.Time  `json:"since,omitzero"`
}

// Status returns the node at a glance, of one tenant if a name is given.
func (a *Agent) Status(tenant ...string) Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.engine
	s := Status{Fleet: e.owner.Fleet, Node: e.owner.Node, Now: a.now(), Accepted: a.planAt,
		Source: a.source, Journal: a.journal, Looked: e.looked, Controller: e.env.OtherController, Rollouts: e.rollout.runs.Open(), Local: e.locals(), Notices: e.notices(), Tenants: []TenantStatus{}}
	for i := range s.Rollouts {
		r := &s.Rollouts[i]
		if r.Trip == nil {
			continue
		}
		for _, f := range e.rollout.runs.Failed(r.ID) {
			s.Failed = append(s.Failed, FailedTenant{r.ID, f})
		}
	}
	if a.plan != nil {
		s.Commit = a.plan.Commit
	}
	if a.cfg.Notices != nil {
		s.Notices = append(s.Notices, a.cfg.Notices()...)
	}
	for _, name := range sortedKeys(e.members, cmp.Compare[string]) {
		if len(tenant) == 0 || slices.Contains(tenant, name) {
			s.Tenants = append(s.Tenants, e.status(e.members[name]))
		}
	}
	return s
}

// shows keeps what another engine shows of a tenant until it has stepped here.
func (e *Engine) shows(name string, old *member) {
	if m := e.members[name]; m != nil {
		was := e.status(old)
		m.was = &was
	}
}

func (e *Engine) status(m *member) TenantStatus {
	e.refresh(m)
	r := m.report
	if r.State == "" && m.was != nil {
		return *m.was
	}
	t := TenantStatus{Name: m.name, State: r.State, ActiveSlot: r.Active, Generation: r.Generation,
		Services: []ServiceStatus{}, Since: r.Since, Why: r.Why, Next: r.Next, Reason: r.Reason,
		Phase: r.Phase, Target: r.Target, Wake: m.wake, Kept: r.Kept, Until: r.KeptUntil,
		Question: r.Question, Problem: r.Problem, Drift: r.Drift}
	if r.State == "" {
		t.State, t.Why = reconcile.Unknown, "not looked at yet"
	}
	if r.Op != reconcile.Keep && r.Op != 0 {
		t.Op = string(r.Op)
	}
	for i := range m.facts.Instances {
		in := &m.facts.Instances[i]
		if in.Job || in.Slot != plans.Shared && in.Slot != r.Active {
			continue
		}
		t.Services = append(t.Services, ServiceStatus{Name: in.Service, Image: in.Image, Slot: in.Slot,
			Running: in.Phase == observed.Running, Healthy: in.Health.Verdict == observed.Healthy && in.Phase == observed.Running,
			Text: in.Health.Last, Restarts: in.Restarts, Since: in.Started})
	}
	for _, route := range m.facts.Route.Entry.Routes {
		t.Hosts = append(t.Hosts, route.Host)
	}
	return t
}

// census is what the metrics count of the node as it is now.
type census struct {
	states      map[reconcile.State]int
	questions   int
	accepted    time.Time
	sourceDown  bool
	journalDown bool
}

func (a *Agent) census() census {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := census{states: map[reconcile.State]int{}, accepted: a.planAt,
		sourceDown: a.source.Problem != nil, journalDown: a.journal.Problem != nil}
	asked := map[string]bool{}
	for _, m := range a.engine.members {
		c.states[cmp.Or(m.report.State, reconcile.Unknown)]++
		if q := m.report.Question; q != nil {
			asked[q.ID] = true // several tenants may wait for the same answer
		}
	}
	for _, r := range a.engine.rollout.runs.Open() {
		if q := r.Question(); q != nil {
			asked[q.ID] = true
		}
	}
	c.questions = len(asked)
	return c
}

// TenantDrift is how a tenant's host moved without the plan.
type TenantDrift struct {
	Tenant string            `json:"tenant"`
	Drift  []reconcile.Drift `json:"drift"`
}

// Drift returns the tenants that drifted.
func (a *Agent) Drift() []TenantDrift {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := []TenantDrift{}
	for _, name := range sortedKeys(a.engine.members, cmp.Compare[string]) {
		if d := a.engine.members[name].report.Drift; len(d) > 0 {
			out = append(out, TenantDrift{name, d})
		}
	}
	return out
}

// Explanation is all that is known of why a tenant is as it is.
type Explanation struct {
	Status TenantStatus     `json:"status"`
	Report reconcile.Report `json:"report"`
	Permit reconcile.Permit `json:"permit"`
	Facts  observed.Tenant  `json:"facts"`
	Record reconcile.Record `json:"record"`
	Want   *plans.Tenant    `json:"want,omitempty"`
	// Doing are the actions under way.
	Doing []reconcile.Action `json:"doing,omitempty"`
	// Log is the last output of its instances that are not well, by instance.
	Log map[string]string `json:"log,omitempty"`
}

// Explain returns all that is known of a tenant, with what its way back would
// leave behind as it is now.
func (a *Agent) Explain(tenant string) (Explanation, error) {
	e, err := a.explain(tenant)
	if err == nil {
		a.weigh(&e)
	}
	return e, err
}

func (a *Agent) explain(tenant string) (Explanation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.engine.members[tenant]
	if m == nil {
		return Explanation{}, refused(fmt.Sprintf("no tenant %q", tenant), "reconcile status lists the tenants")
	}
	e := Explanation{Status: a.engine.status(m), Report: *m.report, Permit: m.permit, Facts: m.facts,
		Record: m.rec, Want: m.want, Doing: m.flight}
	for i := range m.facts.Instances {
		in := &m.facts.Instances[i]
		if in.Log == "" || in.Phase == observed.Running && in.Health.Verdict == observed.Healthy {
			continue
		}
		if e.Log == nil {
			e.Log = map[string]string{}
		}
		e.Log[in.Key.String()] = in.Log
	}
	return e, nil
}
