package agent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// metrics are the agent's counters for Prometheus.
type metrics struct {
	registry *prometheus.Registry
	actions  *prometheus.CounterVec
	took     *prometheus.HistogramVec
	looks    *prometheus.CounterVec
	lookTook prometheus.Histogram
	probes   *prometheus.CounterVec
	commits  prometheus.Histogram
	events   *prometheus.CounterVec
	source   prometheus.Counter
}

func newMetrics(a *Agent) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reconcile_actions_total", Help: "Actions carried out, by verb and result (ok or the class of the problem).",
		}, []string{"verb", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "reconcile_action_seconds", Help: "Time an action took, by verb.",
			Buckets: []float64{.005, .02, .1, .5, 2, 10, 60, 300},
		}, []string{"verb"}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reconcile_looks_total", Help: "Looks at the host, by kind (full or targeted).",
		}, []string{"kind"}),
		lookTook: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "reconcile_look_seconds", Help: "Time a look at the host took.",
			Buckets: []float64{.002, .01, .05, .2, 1, 5, 20},
		}),
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reconcile_probes_total", Help: "Probes made, by the verdict after them.",
		}, []string{"verdict"}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "reconcile_journal_commit_seconds", Help: "Time a journal transaction took.",
			Buckets: []float64{.0005, .002, .01, .05, .2, 1},
		}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reconcile_events_total", Help: "Events, by kind.",
		}, []string{"kind"}),
		source: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reconcile_source_errors_total", Help: "Failed tries to read the plan repository.",
		}),
	}
	m.registry.MustRegister(m.actions, m.took, m.looks, m.lookTook, m.probes, m.commits, m.events, m.source, tenantStates{a})
	return m
}

func (m *metrics) action(v reconcile.Verb, r reconcile.Result) {
	result := "ok"
	if r.Problem != nil {
		result = string(r.Problem.Class)
	}
	m.actions.WithLabelValues(string(v), result).Inc()
	m.took.WithLabelValues(string(v)).Observe(r.Took.Seconds())
}

func (m *metrics) look(full bool, took time.Duration) {
	kind := "targeted"
	if full {
		kind = "full"
	}
	m.looks.WithLabelValues(kind).Inc()
	m.lookTook.Observe(took.Seconds())
}

func (m *metrics) probe(h observed.Health) {
	verdict := string(h.Verdict)
	switch {
	case h.Err != nil:
		verdict = "unseen"
	case verdict == "":
		verdict = "unproven"
	}
	m.probes.WithLabelValues(verdict).Inc()
}

func (m *metrics) commit(took time.Duration) { m.commits.Observe(took.Seconds()) }

var (
	descTenants = prometheus.NewDesc("reconcile_tenants", "Tenants, by state.", []string{"state"}, nil)
	descPlan    = prometheus.NewDesc("reconcile_plan_accepted_timestamp_seconds", "When the plan in force was accepted.", nil, nil)
	descAsked   = prometheus.NewDesc("reconcile_questions", "Questions that wait for a person.", nil, nil)
	descJournal = prometheus.NewDesc("reconcile_journal_problem", "1 while the journal cannot be read or written: nothing is acted on.", nil, nil)
	descSource  = prometheus.NewDesc("reconcile_source_problem", "1 while the plan repository cannot be read.", nil, nil)
)

// tenantStates are counted when they are asked for.
type tenantStates struct{ a *Agent }

// Describe implements prometheus.Collector.
func (tenantStates) Describe(ch chan<- *prometheus.Desc) {
	ch <- descTenants
	ch <- descAsked
	ch <- descPlan
	ch <- descJournal
	ch <- descSource
}

// Collect implements prometheus.Collector.
func (t tenantStates) Collect(ch chan<- prometheus.Metric) {
	now := t.a.census()
	for _, s := range []reconcile.State{reconcile.Converged, reconcile.Progressing, reconcile.Waiting, reconcile.Held,
		reconcile.HeldBack, reconcile.Degraded, reconcile.StateRemoving, reconcile.Unknown} {
		ch <- prometheus.MustNewConstMetric(descTenants, prometheus.GaugeValue, float64(now.states[s]), string(s))
	}
	ch <- prometheus.MustNewConstMetric(descAsked, prometheus.GaugeValue, float64(now.questions))
	if !now.accepted.IsZero() {
		ch <- prometheus.MustNewConstMetric(descPlan, prometheus.GaugeValue, float64(now.accepted.Unix()))
	}
	ch <- prometheus.MustNewConstMetric(descSource, prometheus.GaugeValue, flag(now.sourceDown))
	ch <- prometheus.MustNewConstMetric(descJournal, prometheus.GaugeValue, flag(now.journalDown))
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
