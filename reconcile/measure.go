package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Measured is how much was written to a dataset since a snapshot: what going
// back to the snapshot would leave behind.
type Measured struct {
	Since string `json:"since"` // the snapshot
	Bytes int64  `json:"bytes"` // -1: it could not be told
	// AtMost says that Bytes is a bound: its storage counts changed files whole.
	AtMost bool      `json:"atMost,omitempty"`
	At     time.Time `json:"at"`
}

// Text is the figure for people.
func (m Measured) Text() string {
	if m.AtMost && m.Bytes > 0 {
		return "up to " + bytesText(m.Bytes)
	}
	return bytesText(m.Bytes)
}

// measureAgain is how old a figure may be that a person is asked with, measureSlowly
// how old it may get while the question stands: whoever waits for days is not
// measured for by the minute.
const (
	measureAgain  = 5 * time.Minute
	measureSlowly = time.Hour
)

// lasts is how long a figure is good: the longer, the longer the question stands.
func (m *machine) lasts(figure Measured) time.Duration {
	if m.rec.Asked == "" {
		return measureAgain
	}
	return min(max(figure.At.Sub(m.rec.AskedAt), measureAgain), measureSlowly)
}

// measured returns how much was written to a dataset since a snapshot; false
// while that is being measured. What a look shows by itself is not asked for.
func (m *machine) measured(dataset, snapshot string) (Measured, bool) {
	d := m.dataset(dataset)
	if d == nil || m.dataset(snapshot) == nil {
		return Measured{Bytes: -1}, true
	}
	order := Action{Verb: Measure, Dataset: dataset, Datasets: []string{snapshot},
		Why: "what going back would leave behind is told before anybody decides"}
	was, ok := m.rec.Measured[dataset]
	fresh, again := ok && was.Since == snapshot, was.At.Add(m.lasts(was))
	switch {
	case fresh && m.now.Before(again):
		m.wakeAt(again)
	case fresh && m.rec.Asked != "" && m.rec.AskedAt.Before(again):
		m.older = append(m.older, order) // the question stands meanwhile
	default:
		m.act(Preflight, dataset, order)
		return Measured{}, false
	}
	return was, true
}

// measureOlder has figures of the question that is asked measured again.
func (m *machine) measureOlder() {
	if m.report.Question == nil {
		return
	}
	for _, order := range m.older {
		m.act(Preflight, order.Dataset, order)
	}
}

// heedMeasure takes in a figure. One that cannot be had is told as unknown, and
// keeps nobody from deciding.
func (m *machine) heedMeasure(r Result) {
	_, dataset, ok := strings.Cut(r.ID, "/"+string(Measure)+"/")
	if !ok {
		return
	}
	bytes := r.Bytes
	if r.Problem != nil {
		bytes = -1
	}
	if m.rec.Measured == nil {
		m.rec.Measured = map[string]Measured{}
	}
	m.rec.Measured[dataset] = Measured{Since: r.Since, Bytes: bytes, AtMost: r.AtMost, At: m.now}
}

// forgetMeasured drops figures of datasets that are gone.
func (m *machine) forgetMeasured() {
	if m.seen.Storage.Blind() {
		return
	}
	for _, id := range sortedKeys(m.rec.Measured) {
		if m.dataset(id) == nil {
			delete(m.rec.Measured, id)
		}
	}
}

// leftBehind says what going back from what serves to the version that is kept
// would leave behind: since when, and how many bytes. It returns false while
// that is being measured.
func (m *machine) leftBehind() (string, bool) {
	cur := m.rec.Current
	since := "written since " + stamp(cur.Since)
	var sum Measured
	known, all := true, true
	for name, id := range plans.Sorted(cur.Data) {
		snap := m.snapshotOf(name, cur.Attempt)
		if m.rec.Kept != nil && m.rec.Kept.Data[name] == id || snap == nil {
			continue // it goes along, or begins empty
		}
		n, done := m.measured(id, snap.ID)
		all = all && done
		if known = known && n.Bytes >= 0; known {
			sum.Bytes, sum.AtMost = sum.Bytes+n.Bytes, sum.AtMost || n.AtMost
		}
	}
	if !all {
		return "", false
	}
	if !known {
		return "what was " + since + " (how many bytes cannot be told)", true
	}
	return sum.Text() + " " + since, true
}

// snapshotOf finds the snapshot an attempt took of a volume.
func (m *machine) snapshotOf(volume, attempt string) *observed.Dataset {
	i := slices.IndexFunc(m.seen.Datasets, func(d observed.Dataset) bool {
		return d.Volume == volume && d.Attempt == attempt && d.Role == observed.Origin && d.Ready
	})
	if i < 0 {
		return nil
	}
	return &m.seen.Datasets[i]
}

// bytesText writes a number of bytes for people, 1024-based.
func bytesText(n int64) string {
	if n < 1024 {
		return plural(int(n), "byte", "bytes")
	}
	f, unit := float64(n), ""
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= 1024; unit != "" && f < 1 {
			f *= 1024
			break
		}
		unit = u
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}
