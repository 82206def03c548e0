package sim

import (
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// checkData holds S6 for what was acknowledged: no write that was answered is
// missing from the data of a slot that serves, where the plan does not accept
// that. A replayed volume gets its writes from elsewhere, a fresh one has none.
func (b *books) checkData(slot plans.Slot, what string) {
	if s := b.w.shape.Volume; s != plans.Share && s != plans.Snapshot && s != plans.Quiesce || b.lossOK || len(b.acked) == 0 ||
		!b.w.shape.Routes && b.w.shape.OnBack == plans.Discard {
		return
	}
	id, have := b.dataOf(slot)
	if id == "" {
		return
	}
	for _, write := range sorted(b.acked) {
		if !have[write] {
			b.fail("S6", "write %d was answered by %s and is not in %s of %s, which %s", write, b.acked[write], id, slot, what)
			return
		}
	}
	b.reached["writes kept"]++
}

// checkLineage holds S6 for whose data a slot has: a cloned or fresh volume is
// never that of the slot it takes over from.
func (b *books) checkLineage(slot, from plans.Slot) {
	if s := b.w.shape.Volume; s != plans.Quiesce && s != plans.Replay && s != plans.Fresh || from == plans.NoSlot {
		return
	}
	mine, _ := b.dataOf(slot)
	theirs, _ := b.dataOf(from)
	if mine != "" && mine == theirs {
		b.fail("S6", "%s is switched to on the data of %s (%s)", slot, from, mine)
	}
}

// dataOf is the dataset the app of a slot was started with, and what is in it.
func (b *books) dataOf(slot plans.Slot) (id string, have map[uint64]bool) {
	paths := b.binds[plans.Key{Tenant: Name, Slot: slot, Service: "app"}]
	for _, d := range b.w.truth().Datasets {
		if !slices.Contains(paths, d.Path) {
			continue
		}
		have = map[uint64]bool{}
		for _, write := range b.w.host.Content(d.ID) {
			have[write] = true
		}
		return d.ID, have
	}
	return "", nil
}

// leaveBehind takes off the books what going back to a slot leaves behind, where
// the plan accepts it.
func (b *books) leaveBehind(slot plans.Slot) {
	if b.w.shape.Volume != plans.Quiesce || b.w.shape.OnBack != plans.Discard {
		return
	}
	_, have := b.dataOf(slot)
	for write := range b.acked {
		if !have[write] {
			delete(b.acked, write)
		}
	}
}

// checkDestroy holds S6: no dataset is destroyed that the routed slot uses.
func (b *books) checkDestroy(in reconcile.Input, route observed.Route, a reconcile.Action) {
	for _, d := range in.Facts.Datasets {
		if d.ID != a.Dataset || d.Path == "" {
			continue
		}
		for key, paths := range b.binds {
			if key.Slot != route.Entry.Slot || in.Facts.Instance(key.Slot, key.Service) == nil {
				continue
			}
			for _, p := range paths {
				if p == d.Path || strings.HasPrefix(p, d.Path+"/") {
					b.fail("S6", "%s is destroyed, and %s uses it", d.ID, key)
				}
			}
		}
	}
}

// checkOnlyCopy holds S6 for writes past the router: no dataset is destroyed that has
// the only copy of one, before its retention is over.
func (b *books) checkOnlyCopy(in reconcile.Input, a reconcile.Action) {
	since, given := b.givenUp[a.Dataset]
	if b.w.shape.Volume == plans.Fresh || b.w.shape.Volume == plans.Replay || a.Step == reconcile.Removing ||
		given && b.latest.Sub(since) >= retention.Discarded.For.Std()-lateness {
		return
	}
	elsewhere := map[uint64]bool{}
	for _, d := range b.w.truth().Datasets {
		if d.ID == a.Dataset {
			continue
		}
		for _, write := range b.w.host.Content(d.ID) {
			elsewhere[write] = true
		}
	}
	for _, write := range b.w.host.Content(a.Dataset) {
		if b.past[write] && !elsewhere[write] {
			b.fail("S6", "%s is destroyed, and has the only copy of write %d", a.Dataset, write)
			return
		}
	}
}

// checkRestore holds S6 for data that a person sent back: what was to be gone back to
// is not said to be gone while it is there, under whatever name.
func (b *books) checkRestore(in reconcile.Input, d reconcile.Decision) {
	// A word that is refused takes the place of none.
	heard := in.Data != nil && !slices.ContainsFunc(d.Events, func(e reconcile.Event) bool {
		return e.Kind == reconcile.TenantFailed && strings.Contains(e.Text, " do not go back to "+in.Data.Snapshot+":")
	})
	if heard {
		b.backTo = ""
	}
	there := false
	for _, s := range in.Facts.Datasets {
		if heard && s.ID == in.Data.Snapshot {
			b.backTo = s.Attempt
		}
		there = there || s.Role == observed.Origin && s.Ready && s.Attempt == b.backTo
	}
	for _, e := range d.Events {
		if there && e.Kind == reconcile.TenantFailed && strings.HasSuffix(e.Text, "not there any more") {
			b.fail("S6", "%s: and the snapshot of %s is there", e.Text, b.backTo)
		}
		if there && e.Kind == reconcile.TenantStarted && strings.HasSuffix(e.Text, "a person said so") {
			b.reached["data back"]++
		}
	}
}

// noteGivenUp notes which data are discarded since when.
func (b *books) noteGivenUp(in reconcile.Input) {
	if in.Facts.Storage.Blind() {
		return
	}
	there := map[string]bool{}
	b.latest = maxTime(b.latest, in.Now) // a clock that is set back takes no time back
	for _, d := range in.Facts.Datasets {
		if d.Role != observed.Discarded {
			continue
		}
		there[d.ID] = true
		if b.givenUp[d.ID].IsZero() {
			b.givenUp[d.ID] = b.latest
		}
	}
	for id := range b.givenUp {
		if !there[id] {
			delete(b.givenUp, id)
		}
	}
}

// lateness is how long after its order an effect may be seen: the deadline of an
// action and a turn.
const lateness = 10 * time.Second

// checkRetention holds S6 for what was given up: nothing goes before its time, also of
// a removed tenant, while somebody holds it, while a person asked to go back to it, or
// while it is the last to lead back from what serves.
func (b *books) checkRetention(in reconcile.Input, rec reconcile.Record, a reconcile.Action) {
	gone := a.Step == reconcile.Removing // of what is left only the age counts
	if a.Step != reconcile.Retire && !gone {
		return // what an undone attempt made
	}
	for i := range in.Facts.Datasets {
		d := &in.Facts.Datasets[i]
		if d.ID != a.Dataset {
			continue
		}
		b.reached["retention over"]++
		age, kept := b.latest.Sub(b.givenUp[d.ID]), retention.PreUpgrade.For.Std()
		if strings.HasPrefix(d.Attempt, "removal-") {
			kept = retention.Final.For.Std()
		}
		switch {
		case len(d.Holds) > 0:
			b.fail("S6", "%s is destroyed, and it is held by %v", d.ID, d.Holds)
		// Its time begins when it is ordered to be given up, which may be seen late.
		case d.Role == observed.Discarded && age < retention.Discarded.For.Std()-lateness:
			b.fail("S6", "%s is destroyed %s after it was given up", d.ID, age)
		case d.Role == observed.Discarded && !gone && b.newer(in, d) < retention.Discarded.Count:
			b.fail("S6", "%s is destroyed, and is among the newest %d", d.ID, retention.Discarded.Count)
		// It bears the host's date, and ours may be set back from that.
		case d.Role == observed.Origin && maxTime(b.latest, b.w.now).Sub(d.Created) < kept:
			b.fail("S6", "%s is destroyed %s after it was taken", d.ID, maxTime(b.latest, b.w.now).Sub(d.Created))
		case d.Role == observed.Origin && !gone && rec.Restore != nil && d.Attempt == rec.Restore.Mark:
			b.fail("S6", "%s is destroyed, and a person asked to go back to it", d.ID)
		case d.Role == observed.Origin && rec.Current != nil && d.Attempt == rec.Current.Attempt:
			b.fail("S6", "%s is destroyed, and leads back from what serves", d.ID)
		}
	}
}

// newer counts the discarded datasets of the same volume given up later.
func (b *books) newer(in reconcile.Input, d *observed.Dataset) int {
	n := 0
	for _, o := range in.Facts.Datasets {
		if o.Role != observed.Discarded || o.Volume != d.Volume || o.ID == d.ID {
			continue
		}
		if b.givenUp[o.ID].After(b.givenUp[d.ID].Add(-lateness)) {
			n++
		}
	}
	return n
}
