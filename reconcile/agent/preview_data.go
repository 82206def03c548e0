package agent

import (
	"cmp"
	"context"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// DataEffect is what a change would do with one volume.
type DataEffect struct {
	Volume string `json:"volume"`
	// How the new version gets its data: clone, snapshot, share, create, back.
	How string `json:"how"`
	// From is the dataset it is made of or goes back to; Bytes its size, -1 if
	// that is not known.
	From  string `json:"from,omitempty"`
	Bytes int64  `json:"bytes"`
	// Hold is the longest requests may wait for it, Writes and OnBack what the plan
	// says of writes made meanwhile and later.
	Hold   time.Duration `json:"hold,omitempty"`
	Writes string        `json:"writes,omitempty"`
	OnBack string        `json:"onBack,omitempty"`
	// Leaves is what is left behind, written since Since; -1 if not known. Only of
	// a way back.
	Leaves int64 `json:"leaves,omitempty"`
	// AtMost says that Leaves is a bound: its storage counts changed files whole.
	AtMost bool      `json:"atMost,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// dataEffects tells what the change of a tenant does with its data: by what was
// done in the rehearsal, with the figures of the real host.
func (w *rehearsal) dataEffects(ctx context.Context, tenant, op string) []DataEffect {
	m := w.engine.members[tenant]
	if m == nil || m.want == nil {
		return nil
	}
	var effects []DataEffect
	for _, name := range sortedKeys(m.want.Volumes, cmp.Compare[string]) {
		v := m.want.Volumes[name]
		e := DataEffect{Volume: name, Bytes: -1}
		if cur := w.serving[tenant]; cur != nil {
			e.From = cur.Data[name]
		}
		switch a := w.volumeAction(tenant, name, e.From); {
		case a == nil && op == OpWord(reconcile.Backward) && e.From != "" && m.rec.Data[name].Dataset != e.From:
			e.How, e.Since = "back", w.serving[tenant].Since
			e.Leaves = w.written(ctx, e.From, w.originOf(tenant, e.From))
			if st, err := w.real.storage(v, e.From); err == nil {
				e.AtMost = st.Traits().AtMost
			}
			e.From = m.rec.Data[name].Dataset
		case a == nil:
			continue
		case a.Verb == reconcile.Clone:
			e.How, e.Writes = "clone", v.Writes
			if v.Writes == plans.Quiesce {
				e.Hold, e.OnBack = cmp.Or(v.HoldLimit, plans.DefaultHoldLimit).Std(), cmp.Or(v.OnBack, plans.Stay)
			}
		case a.Verb == reconcile.Snapshot:
			e.How = "snapshot"
		case a.Verb == reconcile.Create:
			e.How, e.From = "create", ""
		}
		if e.From != "" {
			e.Bytes = w.written(ctx, e.From, "")
		}
		effects = append(effects, e)
	}
	return effects
}

// volumeAction is the action of the change that says how a volume's data are
// made; nil if there is none.
func (w *rehearsal) volumeAction(tenant, volume, dataset string) *reconcile.Action {
	var found *reconcile.Action
	for i := range w.actions[tenant] {
		a := &w.actions[tenant][i]
		switch {
		case (a.Verb == reconcile.Clone || a.Verb == reconcile.Create) && a.Volume.Name == volume && a.Volume.Role == observed.Live:
			return a
		case a.Verb == reconcile.Snapshot && found == nil:
			for _, id := range a.Datasets {
				if id == dataset {
					found = a
				}
			}
		}
	}
	return found
}

func (w *rehearsal) originOf(tenant, dataset string) string {
	for _, d := range w.datasets[tenant] {
		if d.ID == dataset {
			return d.Origin
		}
	}
	return ""
}

// written asks the real host, -1 if it cannot tell.
func (w *rehearsal) written(ctx context.Context, dataset, since string) int64 {
	st, err := w.real.storage(plans.Volume{}, dataset)
	if err != nil {
		return -1
	}
	ctx, cancel := context.WithTimeout(ctx, measureLimit)
	defer cancel()
	bytes, err := st.Written(ctx, dataset, since)
	if err != nil {
		return -1
	}
	return bytes
}

// Text says it in a sentence.
func (e DataEffect) Text() string {
	size := ""
	if e.Bytes >= 0 {
		size = " (" + Size(e.Bytes) + ")"
	}
	switch e.How {
	case "clone":
		text := "a clone of " + e.From + size
		if e.Writes == plans.Replay {
			return text + "; the application carries later writes over (writes: replay)"
		}
		text += "; requests wait at most " + e.Hold.String() + "; once it has written, going back "
		switch e.OnBack {
		case plans.Carry:
			return text + "brings the old version to the new data (onBack: carry)"
		case plans.Discard:
			return text + "leaves behind what was written since the switch (onBack: discard)"
		}
		return text + "asks first (onBack: stay)"
	case "snapshot":
		return "a snapshot of " + e.From + size + ", then both versions write it"
	case "back":
		left := "an unknown number of bytes"
		if e.Leaves >= 0 {
			left = SizeUpTo(e.Leaves, e.AtMost)
		}
		return "back to " + e.From + "; leaves behind " + left + " written since " + e.Since.Local().Format("2006-01-02 15:04")
	}
	return "begins empty"
}

// Size writes bytes for people, 1024-based.
func Size(n int64) string { return drivers.Size(n) }

// SizeUpTo is Size, of a figure that may be a bound.
func SizeUpTo(n int64, atMost bool) string {
	if atMost && n > 0 {
		return "up to " + Size(n)
	}
	return Size(n)
}

// likeStorage is the pretended storage with the traits of the real one. How much
// was written is asked of the real one: the pretended has no bytes.
type likeStorage struct {
	drivers.Storage
	traits drivers.StorageTraits
	real   drivers.Storage
}

// Traits implements drivers.Storage.
func (s likeStorage) Traits() drivers.StorageTraits { return s.traits }

// Tune implements drivers.Storage: the pretended can, where the real one cannot.
func (s likeStorage) Tune(ctx context.Context, id string, dataset string, v plans.Volume) error {
	if v.Tuning() != "" && !s.traits.Tuned {
		return s.real.Tune(ctx, id, dataset, v) // which refuses, in its own words
	}
	return s.Storage.Tune(ctx, id, dataset, v)
}

// Written implements drivers.Storage.
func (s likeStorage) Written(ctx context.Context, dataset, snapshot string) (int64, error) {
	return s.real.Written(ctx, dataset, snapshot)
}

// CheckVolumes implements drivers.VolumesChecker, where the real one does.
func (s likeStorage) CheckVolumes(ctx context.Context, vs map[string]plans.Volume) error {
	if able, ok := s.real.(drivers.VolumesChecker); ok {
		return able.CheckVolumes(ctx, vs)
	}
	return nil
}

// CheckClone implements drivers.CloneChecker, where the real one does. Nobody mends
// anything in a dry-run: it would wait for ever.
func (s likeStorage) CheckClone(ctx context.Context, of string, v plans.Volume) error {
	able, ok := s.real.(drivers.CloneChecker)
	if !ok {
		return nil
	}
	err := able.CheckClone(ctx, of, v)
	if err == nil {
		return nil
	}
	p := observed.Wrap("check", of, observed.Refused, err, "")
	p.Class = observed.Refused
	return p
}
