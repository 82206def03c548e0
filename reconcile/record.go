package reconcile

import (
	"maps"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Record is the memory of one tenant: what cannot be seen. It is a value: Step
// takes one and returns the next, and never changes the one it took.
// It is stored as JSON in the journal. What can be seen is never decided from
// it alone: it explains, times and counts.
type Record struct {
	// Clock is the now of the last step; it never goes backwards.
	Clock time.Time `json:"clock"`
	// Attempts counts the attempts ever begun and numbers the next one.
	Attempts int `json:"attempts,omitempty"`

	// Target is the last one reached whole.
	Target plans.Target `json:"target,omitzero"`
	// Release is the template's release last reached whole.
	Release string `json:"release,omitempty"`
	// Current is what serves; nil before the first deployment is proved.
	Current *Version `json:"current,omitempty"`
	// Kept is what served before, in the other slot, for the way back.
	Kept *Version `json:"kept,omitempty"`
	// KeptUntil ends the soak of Kept.
	KeptUntil time.Time `json:"keptUntil,omitzero"`
	// Idle is what runs in the named idle slot. At most one of Kept and Idle
	// is in a slot.
	Idle *Version `json:"idle,omitempty"`
	// Shared are the digests of the tenant-scoped services.
	Shared map[string]string `json:"shared,omitempty"`
	// Past is what it was before it began to move to the target it is at, or on
	// its way to; nil where that is not on record.
	Past *Past `json:"past,omitempty"`
	// Entry is what the router shall have, without any hold.
	Entry plans.Entry `json:"entry,omitzero"`
	// Data are the volumes that ever held data of the tenant, by name.
	Data map[string]Data `json:"data,omitempty"`
	// Attempt is the one under way; nil is none.
	Attempt *Attempt `json:"attempt,omitempty"`
	// Withheld are the targets not to be started again, oldest first.
	Withheld []Withheld `json:"withheld,omitempty"`
	// Discards are the datasets given up, and since when.
	Discards map[string]time.Time `json:"discards,omitempty"`
	// Retention is what the plan last said of what is given up.
	Retention plans.Retention `json:"retention,omitzero"`
	// Restore is a way back of the data that a person asked for.
	Restore *Restore `json:"restore,omitempty"`
	// Measured is how much was written to datasets since snapshots of them.
	Measured map[string]Measured `json:"measured,omitempty"`
	// Stuck are the datasets that could not be destroyed.
	Stuck map[string]Stuck `json:"stuck,omitempty"`

	// Trouble is the last problem met, until it is overcome. RepairTrouble is that of
	// the repair of what serves: it holds up no other version.
	Trouble       *Trouble `json:"trouble,omitempty"`
	RepairTrouble *Trouble `json:"repairTrouble,omitempty"`
	// Outage is what undid the last attempt and is nobody's fault: the next one
	// waits for its time.
	Outage *Trouble `json:"outage,omitempty"`
	// Cramped is what the last attempt lacked to copy data while requests waited.
	Cramped *Cramped `json:"cramped,omitempty"`
	// Ordered names what was ordered last, Again how often in a row it was done
	// and not seen.
	Ordered string `json:"ordered,omitempty"`
	Again   int    `json:"again,omitempty"`
	// Unknown is since when a part of the world cannot be seen.
	Unknown time.Time `json:"unknown,omitzero"`
	// Holding is since when a person's hold is in force.
	Holding time.Time `json:"holding,omitzero"`
	// UnwellSince is since when what serves is not well, Unwell what was first
	// seen of that and UnwellPart of which part: known also while it cannot be
	// seen.
	UnwellSince time.Time `json:"unwellSince,omitzero"`
	Unwell      string    `json:"unwell,omitempty"`
	UnwellPart  string    `json:"unwellPart,omitempty"`
	// Flapping is since when repair was given up.
	Flapping time.Time `json:"flapping,omitzero"`
	// Starts are the instances last seen, by slot/service, with their starts
	// within the flap window.
	Starts map[string]*Starts `json:"starts,omitempty"`
	// Drift names what was found moved and is not repaired yet.
	Drift []string `json:"drift,omitempty"`
	// Strays is since when requests are waited for that are open on something
	// that belongs to no version.
	Strays time.Time `json:"strays,omitzero"`
	// Removal is set while the tenant is being removed.
	Removal *Removal `json:"removal,omitempty"`

	// State and Reason are those last reported, since Since.
	State  State     `json:"state,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Phase  Phase     `json:"phase,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Wanted is the plan's target last seen, for the event tenant.planned.
	Wanted plans.Target `json:"wanted,omitzero"`
	// Asked is the question last asked, and since when.
	Asked   string    `json:"asked,omitempty"`
	AskedAt time.Time `json:"askedAt,omitzero"`
}

// Version is one generation in one slot, as an attempt made it.
type Version struct {
	Target     plans.Target `json:"target,omitzero"`
	Slot       plans.Slot   `json:"slot"`
	Generation string       `json:"generation"`
	// Attempt made its instances; Commit is where the order came from.
	Attempt string `json:"attempt,omitempty"`
	Commit  string `json:"commit,omitempty"`
	// Runtime is the one its instances were last seen with.
	Runtime string `json:"runtime,omitempty"`
	// Sidecars are the digests of its sidecars.
	Sidecars map[string]string `json:"sidecars,omitempty"`
	// Data are the datasets it uses, by volume.
	Data map[string]string `json:"data,omitempty"`
	// OnBack is what the plan last said about writes to it: stay, carry, discard, or
	// "" where going back loses none.
	OnBack string `json:"onBack,omitempty"`
	// Entry was the route table's entry while it was routed.
	Entry plans.Entry `json:"entry,omitzero"`
	// Inputs are the keyed digests of the host files it was made with.
	Inputs map[string]string `json:"inputs,omitempty"`
	// Baked says that it passed its bake: only then is it a way back.
	Baked bool `json:"baked,omitempty"`
	// Settled says that everything that belongs to the routed slot has run.
	Settled bool `json:"settled,omitempty"`
	// Wrote says that a write was answered by it since the last switch to it, or may
	// have been where no router counts.
	Wrote bool `json:"wrote,omitempty"`
	// Ran are its afterSwitch jobs that ended, by exit status.
	Ran map[string]int `json:"ran,omitempty"`
	// Since is when it was last switched to.
	Since time.Time `json:"since,omitzero"`
}

// Data is one volume that holds data of the tenant.
type Data struct {
	Driver  string `json:"driver,omitempty"`
	Source  string `json:"source,omitempty"`
	Dataset string `json:"dataset"` // that the current version uses
	// Volatile says that the plan lets it be gone after a reboot; Emptied is since
	// when it began empty again and the application has not proved itself on it.
	Volatile bool      `json:"volatile,omitempty"`
	Emptied  time.Time `json:"emptied,omitzero"`
}

// Withheld is a target not started again until it changes or a person says so.
type Withheld struct {
	Target  plans.Target      `json:"target"`
	Reason  string            `json:"reason"` // failed, aborted, rolledBack
	Why     string            `json:"why"`
	Since   time.Time         `json:"since"`
	Attempt string            `json:"attempt,omitempty"`
	Problem *observed.Problem `json:"problem,omitempty"`
}

// Removal is a removal under way.
type Removal struct {
	Since time.Time `json:"since"`
	// Gone is since when nothing runs any more and the grace of the data counts.
	Gone time.Time `json:"gone,omitzero"`
	// Snapped says that the final snapshot is taken.
	Snapped bool `json:"snapped,omitempty"`
}

// maxWithheld bounds Record.Withheld; the oldest is forgotten first.
const maxWithheld = 8

// withheld finds the entry for a target; nil where it is free to go.
func (r *Record) withheld(t plans.Target) *Withheld {
	for i := range r.Withheld {
		if r.Withheld[i].Target == t {
			return &r.Withheld[i]
		}
	}
	return nil
}

func (r *Record) withhold(w Withheld) {
	r.free(w.Target)
	r.Withheld = append(r.Withheld, w)
	if n := len(r.Withheld) - maxWithheld; n > 0 {
		r.Withheld = r.Withheld[n:]
	}
}

func (r *Record) free(t plans.Target) {
	r.Withheld = slices.DeleteFunc(r.Withheld, func(w Withheld) bool { return w.Target == t })
}

// in returns the version that lives in a slot, nil for none.
func (r *Record) in(slot plans.Slot) *Version {
	for _, v := range []*Version{r.Current, r.Kept, r.Idle} {
		if v != nil && v.Slot == slot {
			return v
		}
	}
	if a := r.Attempt; a != nil && a.Kind != KindAside && a.New.Slot == slot {
		return &a.New
	}
	return nil
}

// clone returns a deep copy.
func (r Record) clone() Record {
	r.Current, r.Kept, r.Idle = r.Current.clone(), r.Kept.clone(), r.Idle.clone()
	r.Shared = maps.Clone(r.Shared)
	r.Past = r.Past.clone()
	r.Entry = cloneEntry(r.Entry)
	r.Data = maps.Clone(r.Data)
	r.Attempt = r.Attempt.clone()
	r.Withheld = slices.Clone(r.Withheld)
	for i := range r.Withheld {
		r.Withheld[i].Problem = cloneProblem(r.Withheld[i].Problem)
	}
	r.Discards = maps.Clone(r.Discards)
	r.Restore = copyOf(r.Restore)
	r.Measured = maps.Clone(r.Measured)
	r.Stuck = maps.Clone(r.Stuck)
	for id, s := range plans.Sorted(r.Stuck) {
		s.Problem = *cloneProblem(&s.Problem)
		r.Stuck[id] = s
	}
	r.Trouble, r.RepairTrouble, r.Outage = copyOf(r.Trouble), copyOf(r.RepairTrouble), copyOf(r.Outage)
	r.Cramped = r.Cramped.clone()
	r.Starts = maps.Clone(r.Starts)
	for key, s := range plans.Sorted(r.Starts) {
		c := *s
		c.At = slices.Clone(s.At)
		r.Starts[key] = &c
	}
	r.Drift = slices.Clone(r.Drift)
	r.Removal = copyOf(r.Removal)
	return r
}

func (v *Version) clone() *Version {
	if v == nil {
		return nil
	}
	c := *v
	c.Sidecars = maps.Clone(v.Sidecars)
	c.Data = maps.Clone(v.Data)
	c.Entry = cloneEntry(v.Entry)
	c.Inputs = maps.Clone(v.Inputs)
	c.Ran = maps.Clone(v.Ran)
	return &c
}

// Compact lets what is the same in several parts of a record be there once, as it
// was before the record was written down. Nobody else may have a copy of it yet.
func (r *Record) Compact() {
	share := func(t *plans.Target) {
		if *t == r.Target {
			*t = r.Target
		}
	}
	share(&r.Wanted)
	for _, v := range []*Version{r.Current, r.Kept, r.Idle} {
		if v == nil {
			continue
		}
		share(&v.Target)
		if v.Generation == v.Target.Core {
			v.Generation = v.Target.Core
		}
		if slices.EqualFunc(v.Entry.Routes, r.Entry.Routes, sameRoute) {
			v.Entry.Routes = r.Entry.Routes
		}
	}
}

// cloneEntry copies an entry. Its routes are never changed in place: all copies
// share them.
func cloneEntry(e plans.Entry) plans.Entry {
	e.Hold = copyOf(e.Hold)
	return e
}

func cloneProblem(p *observed.Problem) *observed.Problem {
	if p == nil {
		return nil
	}
	// Field by field: the cause it wraps belongs to the process that made it.
	return &observed.Problem{Op: p.Op, Ref: p.Ref, Class: p.Class, Text: p.Text, Hint: p.Hint, Log: p.Log, Full: p.Full}
}

// copyOf copies a flat value.
func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
