package fleet

import (
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// Result is what a plan came to.
type Result struct {
	Seeds   int           `json:"seeds"`
	First   uint64        `json:"first"`
	Fail    float64       `json:"fail"`
	Tenants int           `json:"tenants"`
	Took    time.Duration `json:"took"` // of the computer
	Waves   []Wave        `json:"waves"`
}

// Wave is what became of the change of one template by one policy, over all
// runs.
type Wave struct {
	// Policy and Template name it. Without a policy tenants move one at a time,
	// and none after the first that failed.
	Policy   string `json:"policy"`
	Template string `json:"template"`
	Tenants  int    `json:"tenants"`
	Held     int    `json:"held"` // by a person's word in the plan: not moved
	// Completed, Tripped and RolledBack are in how many runs all were moved, the
	// breaker tripped and a person was asked, and tripped and the policy took
	// everything back. Other are those that came to none of these.
	Completed  int `json:"completed"`
	Tripped    int `json:"tripped"`
	RolledBack int `json:"rolledBack"`
	Other      int `json:"other"`
	// Waits are the gates at which those stood in the end, the most frequent first.
	Waits []Wait `json:"waits,omitempty"`
	// Duration is that of the runs that were completed, Stopped the time to the
	// trip of the others.
	Duration Spread `json:"duration"`
	Stopped  Spread `json:"stopped"`
	// Broken is the most tenants at once whose users were served by something
	// that does not work, Failed how many failed, Moved how many ran the new
	// version at the end.
	Broken Count `json:"broken"`
	Failed Count `json:"failed"`
	Moved  Count `json:"moved"`
}

// Wait is a gate at which runs stood in the end.
type Wait struct {
	For reconcile.GateFor `json:"for"`
	// Why and Next are of the first of these runs.
	Why  string `json:"why"`
	Next string `json:"next,omitempty"`
	Runs int    `json:"runs"`
}

// waits counts a run that stands at a gate.
func (w *Wave) waits(g *reconcile.Gate) {
	if g.For == "" {
		return
	}
	i := slices.IndexFunc(w.Waits, func(o Wait) bool { return o.For == g.For })
	if i < 0 {
		i = len(w.Waits)
		w.Waits = append(w.Waits, Wait{For: g.For, Why: g.Why, Next: g.Next})
	}
	w.Waits[i].Runs++
	slices.SortStableFunc(w.Waits, func(a, b Wait) int { return b.Runs - a.Runs })
}

// Trip is the probability that the breaker trips.
func (w *Wave) Trip() float64 {
	n := w.Completed + w.Tripped + w.RolledBack + w.Other
	if n == 0 {
		return 0
	}
	return float64(w.Tripped+w.RolledBack) / float64(n)
}

// Spread is how durations are distributed; all are zero where there was none.
type Spread struct {
	P50 time.Duration `json:"p50"`
	P90 time.Duration `json:"p90"`
	Max time.Duration `json:"max"`
}

// Count is how numbers are distributed.
type Count struct {
	P50 int `json:"p50"`
	P90 int `json:"p90"`
	Max int `json:"max"`
}

func spread(d []time.Duration) Spread {
	slices.Sort(d)
	return Spread{at(d, 50), at(d, 90), at(d, 100)}
}

func count(n []int) Count {
	slices.Sort(n)
	return Count{at(n, 50), at(n, 90), at(n, 100)}
}

// at is the value that pct percent of a sorted list do not exceed.
func at[T any](sorted []T, pct int) (v T) {
	if len(sorted) == 0 {
		return v
	}
	return sorted[min(len(sorted)-1, (len(sorted)*pct+99)/100-1)]
}
