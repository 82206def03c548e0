package plans

import (
	"math"
	"strconv"
	"strings"
)

// BatchPolicy says how a change spreads over the tenants of a template. The
// zero policy moves one tenant at a time and stops at the first failure.
type BatchPolicy struct {
	Name string `json:"name"`
	// Canary is the stage before the first batch; nil: there is none.
	Canary *Canary `json:"canary,omitempty"`
	// BatchPct is the share of all members a batch holds, BatchSize their
	// number. At most one is set; with neither a batch is one tenant.
	BatchPct  int `json:"batchPct,omitempty"`
	BatchSize int `json:"batchSize,omitempty"`
	// Rings are values of the label ring, in the order they get a change. A
	// batch never reaches from one into the next. Tenants of no ring named
	// here come last.
	Rings []string `json:"rings,omitempty"`
	// Parallelism is how many tenants of a batch move at once at most; 0: all.
	// The breaker lets no more be on their way than could trip it.
	Parallelism int `json:"parallelism,omitempty"`
	// Stagger is the least time between the starts of two tenants.
	Stagger Duration `json:"stagger,omitempty"`
	// Bake is how long all tenants of a batch must be well before the next.
	Bake Duration `json:"bake,omitempty"`
	// HealthWithin is the default of health.within, and how long a tenant that
	// reached its target may be unwell before it counts as failed.
	HealthWithin Duration `json:"healthWithin,omitempty"`
	// MaxConsecutiveFailures in a row stop the rollout; 0 is the default of 1.
	MaxConsecutiveFailures int `json:"maxConsecutiveFailures,omitempty"`
	// MaxFailureRatio of failed to finished tenants stops it after a whole
	// batch; 0: no ratio does.
	MaxFailureRatio float64 `json:"maxFailureRatio,omitempty"`
	// MinHealthy is how many of the tenants that change together stay healthy at
	// least: nothing is started that could take their number below, and the
	// rollout stops if it falls below. "": there is no floor.
	MinHealthy Floor `json:"minHealthy,omitempty"`
	// Windows are the times in which something may be started; none: any time.
	Windows []Window `json:"windows,omitempty"`
	// Freeze are days on which nothing is started, windows or not.
	Freeze []Freeze `json:"freeze,omitempty"`
	// TimeZone is the name of the zone of Windows and Freeze, "" for UTC; Zone
	// has its rules.
	TimeZone string `json:"timeZone,omitempty"`
	Zone     *Zone  `json:"zone,omitempty"`
	// Approval is PerBatch where a person is asked before each batch, or "".
	Approval string `json:"approval,omitempty"`
	// OnTrip is "" for wait (a person is asked), or rollback.
	OnTrip string `json:"onTrip,omitempty"`
}

// Canary is the stage that gets a change first.
type Canary struct {
	// Select are labels the canaries have, Count is how many of them (of all
	// members without Select) there are at most; 0: all that are selected.
	Select map[string]string `json:"select,omitempty"`
	Count  int               `json:"count,omitempty"`
	// Bake is how long all canaries must be well before the first batch.
	Bake Duration `json:"bake,omitempty"`
}

// DefaultHealthWithin is how long a tenant that reached its target may be unwell
// where the policy does not say it.
const DefaultHealthWithin = 300 * Second

// Rollback is the word of OnTrip for going back without a question.
const Rollback = "rollback"

// PerBatch is the word of Approval for a question before each batch.
const PerBatch = "perBatch"

// Floor is the least number of tenants ("40") or a share of them ("90%").
type Floor string

// Of is how many of so many tenants the floor is. A share is rounded up, and is
// never so many that none of them could be risked.
func (f Floor) Of(n int) int {
	text, percent := strings.CutSuffix(string(f), "%")
	k, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0 // refused when the plan was read
	case percent:
		return max(0, min(n-1, int(math.Ceil(float64(k)*float64(n)/100))))
	}
	return k
}

// Size is how many tenants a batch holds when a change has so many members.
func (p *BatchPolicy) Size(members int) int {
	switch {
	case p.BatchSize > 0:
		return p.BatchSize
	case p.BatchPct > 0:
		return max(1, int(math.Ceil(float64(p.BatchPct)*float64(members)/100)))
	}
	return 1
}

// Failures is how many failures in a row stop the rollout, at least 1.
func (p *BatchPolicy) Failures() int { return max(1, p.MaxConsecutiveFailures) }

// Selects says that the labels are those of a canary.
func (c *Canary) Selects(labels map[string]string) bool {
	for name, want := range Sorted(c.Select) {
		if labels[name] != want {
			return false
		}
	}
	return true
}
