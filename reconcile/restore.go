package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// DataWord is a person's word, given on this host, that data shall go back to a
// snapshot: with all volumes whose snapshots were taken in the same act. Without
// Granted it only opens the question, which a decision in git answers.
type DataWord struct {
	Snapshot string
	Granted  bool
}

// Restore is a way back of the data that a person asked for.
type Restore struct {
	// Mark is the attempt that took the snapshots.
	Mark    string    `json:"mark"`
	Since   time.Time `json:"since"`
	Granted bool      `json:"granted,omitempty"`
}

// askRestore takes a person's word on this host.
func (m *machine) askRestore(w DataWord) {
	why := m.noRestore(w.Snapshot)
	if why != "" {
		m.event(TenantFailed, "the data of "+m.in.Name+" do not go back to "+w.Snapshot+": "+why)
		return
	}
	m.rec.Restore = &Restore{Mark: m.dataset(w.Snapshot).Attempt, Since: m.now, Granted: w.Granted}
}

// NoRestore says why the data of a tenant cannot go back to a snapshot, "" if
// they can.
func NoRestore(in Input, rec Record, snapshot string) string {
	return begin(in, rec).noRestore(snapshot)
}

func (m *machine) noRestore(snapshot string) string {
	d := m.dataset(snapshot)
	switch {
	case d == nil || d.Role != observed.Origin:
		return "there is no such snapshot of it"
	case !d.Ready:
		return "the snapshot is not whole"
	case m.rec.Current == nil || m.want == nil:
		return "nothing of it serves by the plan"
	case m.rec.Removal != nil:
		return "it is being removed"
	case m.rec.Attempt != nil:
		return "it is in motion; wait until that is over, or take it back first"
	case m.target.Active != plans.NoSlot:
		return "activeSlot names the slot that serves; say activeSlot: auto first"
	}
	return ""
}

// restoreOf is the snapshot that the attempt under way takes a volume back to; nil
// if it is not there, or the volume does not go back.
func (m *machine) restoreOf(volume string) *observed.Dataset {
	mark := m.rec.Attempt.Restore[volume]
	if mark == "" {
		return nil
	}
	return m.snapshotOf(volume, mark)
}

// restorable proves that the data can go back, before what they could go back to
// otherwise is given up: the snapshots are there, and held.
func (m *machine) restorable() bool {
	a := m.rec.Attempt
	for name, mark := range plans.Sorted(a.Restore) {
		if m.restoreOf(name) == nil {
			m.fail("the snapshot that "+mark+" took of volume "+name+" is not there any more", nil)
			return false
		}
	}
	return len(a.Restore) == 0 || m.holdData(Preflight)
}

// restoreSet are the snapshots to go back to, by volume.
func (m *machine) restoreSet(mark string) map[string]string {
	set := map[string]string{}
	for name := range plans.Sorted(m.rec.Data) {
		if _, wanted := m.want.Volumes[name]; !wanted {
			continue
		}
		if s := m.snapshotOf(name, mark); s != nil {
			set[name] = s.ID
		}
	}
	return set
}

// restoring begins the way back of the data a person asked for, once a person
// said yes to what it leaves behind. It returns whether it is under way.
func (m *machine) restoring() bool {
	r := m.rec.Restore
	if r == nil || m.want == nil || m.unowned() {
		return false
	}
	set := m.restoreSet(r.Mark)
	if why := m.restoreStands(set); why != "" {
		m.event(TenantFailed, "the data of "+m.in.Name+" do not go back: "+why)
		m.rec.Restore = nil
		return false
	}
	if !r.Granted {
		switch m.restoreAnswer(set) {
		case "restore":
		case "keep":
			m.rec.Restore = nil
			return false
		default:
			return len(m.actions) > 0
		}
	}
	m.rec.Restore = nil
	if k := m.rec.Kept; k != nil && k.Baked && r.Mark == m.rec.Current.Attempt && m.apart(k, set) && !m.missingBack(k) {
		// What is kept is the very state before this version: nothing is copied.
		if m.isBack(k) { // the plan names it, too: no target is left
			a := m.newBack()
			if m.coreMoves() {
				m.departs()
			} else {
				a.Undoes = a.Target // only the data go back
			}
			m.restores(a, set)
			return true
		}
		if why := m.leave(k, "a person sent its data back", true); why != "" {
			m.event(TenantFailed, "the data of "+m.in.Name+" do not go back: "+why)
			return false
		}
		m.forward()
		m.settle()
		return true
	}
	a := m.newRestore(set, r.Mark)
	if m.keptForDecision(a) {
		m.rec.Restore = r
		return false
	}
	m.restores(a, set)
	return true
}

// restores puts the attempt by which data go back under way.
func (m *machine) restores(a *Attempt, set map[string]string) {
	m.rec.free(a.Target)
	m.rec.Attempts++
	m.rec.Attempt, m.rec.Trouble = a, nil
	m.event(TenantStarted, m.in.Name+" moves to "+m.moveText(a)+" on the data of "+texts(set)+": a person said so",
		"op", string(a.Op), "attempt", a.ID, "slot", string(a.New.Slot), "generation", a.New.Generation, "data", texts(set))
	m.forward()
	m.settle()
}

// apart says that another version has data of its own for all volumes of a set: one
// that shares them with the version that serves is no way back for them.
func (m *machine) apart(v *Version, set map[string]string) bool {
	for name := range plans.Sorted(set) {
		if v.Data[name] == m.rec.Current.Data[name] {
			return false
		}
	}
	return true
}

func (m *machine) restoreStands(set map[string]string) string {
	for _, id := range plans.Sorted(set) {
		return m.noRestore(id)
	}
	return "the snapshots are not there any more"
}

// restoreAnswer asks with what it would cost.
func (m *machine) restoreAnswer(set map[string]string) string {
	r, cur := m.rec.Restore, m.rec.Current
	text := ""
	var from time.Time
	for name, id := range plans.Sorted(set) {
		n, done := m.measured(m.rec.Data[name].Dataset, id)
		if !done {
			return ""
		}
		if text != "" {
			text += ", "
		}
		text += volumeCost(name, n)
		from = m.dataset(id).Created
	}
	for name := range plans.Sorted(m.rec.Data) {
		if _, goes := set[name]; !goes {
			text += "; volume " + name + " has no snapshot of that moment and stays as it is"
		}
	}
	return m.ask("restore-data", "the data of "+m.in.Name+" would go back to "+stamp(from)+" ("+texts(set)+"), which leaves behind what was written since: "+text,
		map[string]string{
			"restore": "serve the data as they were at " + stamp(from) + "; those of now are kept aside for their retention",
			"keep":    "leave the data as they are",
		}, r.Mark, r.Since.UTC().Format(time.RFC3339), cur.Attempt)
}

// newRestore is the attempt that serves a clone of the snapshots: by the
// generation that wrote them where the plan names it, else by the one that
// serves.
func (m *machine) newRestore(set map[string]string, mark string) *Attempt {
	cur := m.rec.Current
	core, target := cur.Generation, m.rec.Target
	for _, id := range plans.Sorted(set) {
		if g := m.dataset(id).Generation; g != "" && g == m.target.Core {
			core, target = g, m.target
		}
	}
	op := Replace
	if recreates(m.want) {
		op = Again
	}
	a := m.newAttempt(KindCore, op, target)
	a.Restore, a.Bake = map[string]string{}, m.want.Bake
	for name := range plans.Sorted(set) {
		a.Restore[name] = mark
	}
	sidecars := cur.clone().Sidecars
	a.New = Version{Target: target, Slot: cur.Slot.Other(), Generation: core, Attempt: a.ID, Commit: m.env.Commit,
		Sidecars: sidecars, Inputs: cur.clone().Inputs, OnBack: restoredOnBack(m.want, set)}
	a.Exclusive = recreates(m.want)
	if len(m.want.Routes) > 0 {
		a.New.Entry = m.want.Entry(a.New.Slot, []plans.Slot{a.New.Slot, cur.Slot}, m.env.Port)
	}
	return a
}

// restoredOnBack is the word about writes to data that went back: they are on a
// clone, also where the plan would have none, and by no plan's word left behind.
func restoredOnBack(t *plans.Tenant, set map[string]string) string {
	word := onBack(t)
	for name := range plans.Sorted(set) {
		if t.Volumes[name].OnUpgrade != plans.Clone {
			word = stricter(word, plans.Stay)
		}
	}
	return word
}

// volumeCost says what going back leaves behind of one volume.
func volumeCost(name string, n Measured) string {
	if n.Bytes < 0 {
		return "of " + name + " a number of bytes that cannot be told"
	}
	return n.Text() + " of " + name
}

func texts(set map[string]string) string {
	var all []string
	for _, id := range plans.Sorted(set) {
		all = append(all, id)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
