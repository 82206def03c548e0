package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Kind says what an attempt moves.
type Kind string

// The kinds. A target that changes several is reached by one attempt after the
// other, in this order: services upgraded alone, the core, the named idle slot,
// live fields. The switch of a core carries the live fields with it.
const (
	KindCore  Kind = ""
	KindAside Kind = "aside" // one service upgraded alone
	KindIdle  Kind = "idle"  // the named idle slot
	KindLive  Kind = "live"  // routes, in place
)

// Attempt is one move towards a target, forward or back.
type Attempt struct {
	ID     string       `json:"id"` // "a3-9f04": number and digest
	Kind   Kind         `json:"kind,omitempty"`
	Op     Op           `json:"op"`
	Target plans.Target `json:"target"` // the plan's whole target
	New    Version      `json:"new"`

	// Aside is the service of KindAside, From and To its digests ("" is none).
	Aside string `json:"aside,omitempty"`
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`

	// Shared are the digests of the tenant-scoped services that a first
	// deployment starts with its core.
	Shared map[string]string `json:"shared,omitempty"`

	// Undoes is the target that is withheld, of an attempt of the way back from it;
	// zero: it is none. Not all of it is back before the last such attempt has ended.
	// Where it is the attempt's own target, only the data go back, and none is withheld.
	Undoes plans.Target `json:"undoes,omitzero"`

	// Back is the direction; it never turns to forward again. Reason and Why
	// say what turned it, Problem what was met.
	Back    bool              `json:"back,omitempty"`
	Reason  string            `json:"reason,omitempty"` // failed, aborted, superseded
	Why     string            `json:"why,omitempty"`
	Problem *observed.Problem `json:"problem,omitempty"`

	Phase Phase     `json:"phase"`
	Since time.Time `json:"since"` // the phase began
	// Spent is the time of the phase during which the world could be seen.
	Spent time.Duration `json:"spent,omitempty"`
	// Checked is when the preflight table was last ordered.
	Checked time.Time `json:"checked,omitzero"`
	// Cleared says that the slot was emptied of what it held before.
	Cleared bool `json:"cleared,omitempty"`
	// Rehearsing says that prepare to verify run on a copy that is thrown away.
	Rehearsing bool `json:"rehearsing,omitempty"`
	// Rehearsed says that the copy proved itself, and what was made for it goes.
	Rehearsed bool `json:"rehearsed,omitempty"`
	// Hold is the hold of requests, nil before it was ordered and after its
	// release.
	Hold *HoldWindow `json:"hold,omitempty"`
	// Stopped says that the attempt ordered old services to stop.
	Stopped bool `json:"stopped,omitempty"`
	// Reused says that the slot's instances are those of an earlier attempt:
	// the way back, or a flip.
	Reused bool `json:"reused,omitempty"`
	// Ordered says that the switch was ordered: routes that lead to the new slot
	// are ours from then on, and an edit behind our back before.
	Ordered bool `json:"ordered,omitempty"`
	// Switched says that the routes were seen at the new slot, Swapped that a
	// marked request confirmed it and Current is the new version.
	Switched bool `json:"switched,omitempty"`
	Swapped  bool `json:"swapped,omitempty"`
	// Restored says that, going back, the routes are seen where they were.
	Restored bool `json:"restored,omitempty"`
	// Carry says that an old generation is brought to the new data.
	Carry bool `json:"carry,omitempty"`
	// Restore are the attempts that took the snapshots the new version's data are
	// cloned from, by volume, where a person said that the data go back. A promotion
	// changes the name of a snapshot, and never whose it is.
	Restore map[string]string `json:"restore,omitempty"`
	// Exclusive says that old and new never run at the same time (recreate).
	Exclusive bool `json:"exclusive,omitempty"`
	// Failing says that the new version fails, or is taken back, and waits for a word on its data.
	Failing bool `json:"failing,omitempty"`
	// TakenBack says which person took it back; that may wait for a word on its data.
	TakenBack string `json:"takenBack,omitempty"`
	// Accepted says that a person took the new version as it is.
	Accepted bool `json:"accepted,omitempty"`
	// Wrote says that a write was answered by the new slot, or may have been where no
	// router counts.
	Wrote bool `json:"wrote,omitempty"`
	// Down says that what bakes was not up since its answers were last counted,
	// Before what the router had counted when it was up again: what is answered for
	// a version while it is down, after a reboot say, is not its own answer.
	Down   bool           `json:"down,omitempty"`
	Before observed.Usage `json:"before,omitzero"`
	// Jobs are the jobs that ended well.
	Jobs []string `json:"jobs,omitempty"`
	// JobFrom is how much of the phase's clock had run when a job was first seen.
	JobFrom map[string]time.Duration `json:"jobFrom,omitempty"`
	// Frozen are the volumes whose freeze was ordered and not undone yet, Freezes
	// how often all were thawed, HookFrom when each hook was first seen.
	Frozen   map[string]Frozen    `json:"frozen,omitempty"`
	Freezes  int                  `json:"freezes,omitempty"`
	HookFrom map[string]time.Time `json:"hookFrom,omitempty"`
	// Cut counts the requests ended by us.
	Cut int `json:"cut,omitempty"`
	// Bake is what the plan last said of it.
	Bake plans.Duration `json:"bake,omitempty"`
	// Sick is since when the new slot has not been healthy in its bake.
	Sick time.Duration `json:"sick,omitempty"`
}

// HoldWindow bounds a hold of requests.
type HoldWindow struct {
	ID    string         `json:"id"`
	At    time.Time      `json:"at"` // ordered; the data plane counts from no earlier
	Limit plans.Duration `json:"limit"`
}

// hasSlot says that it fills a slot, and with data: of the core, or beside it.
func (a *Attempt) hasSlot() bool { return a.Kind == KindCore || a.Kind == KindIdle }

func (a *Attempt) clone() *Attempt {
	if a == nil {
		return nil
	}
	c := *a
	c.New = *a.New.clone()
	c.Shared = maps.Clone(a.Shared)
	c.Restore = maps.Clone(a.Restore)
	c.Problem = cloneProblem(a.Problem)
	c.Hold = copyOf(a.Hold)
	c.Jobs = slices.Clone(a.Jobs)
	c.JobFrom = maps.Clone(a.JobFrom)
	c.Frozen = cloneFrozen(a.Frozen)
	c.HookFrom = maps.Clone(a.HookFrom)
	return &c
}

// attemptID derives the id of the n-th attempt. The digest keeps ids of two
// lives of a journal apart, so that a job or a snapshot is never taken for
// another attempt's.
func attemptID(tenant string, n int, t plans.Target, now time.Time) string {
	return fmt.Sprintf("a%d-%s", n, digest(4, tenant, fmt.Sprint(n), t, now.UTC().Format(time.RFC3339Nano)))
}

// digest names a list of values by hex digits.
func digest(hexDigits int, parts ...any) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%v\x00", p)
	}
	return hex.EncodeToString(h.Sum(nil))[:hexDigits]
}

// enter moves the attempt to a phase and starts its clock.
func (m *machine) enter(p Phase) {
	a := m.rec.Attempt
	if a.Phase == p {
		return
	}
	left := a.Phase
	a.Phase, a.Since, a.Spent, a.Sick, a.JobFrom = p, m.now, 0, 0, nil
	if t := m.rec.Trouble; t != nil && (!m.waiting() || strings.HasPrefix(t.Action, m.prefix()+string(left)+"/")) {
		m.rec.Trouble = nil // that of the row is overcome; another's pause is kept
	}
}

// spentAt returns how much of the phase's clock had run when the world was
// looked at: a deadline fires only on an observation made after it.
func (m *machine) spentAt(look time.Time) time.Duration {
	return m.rec.Attempt.Spent - max(0, m.now.Sub(look))
}
