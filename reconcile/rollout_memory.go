package reconcile

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// RolloutPhase is where a rollout is in its life.
type RolloutPhase string

// The phases. The last five are closed: a closed rollout starts nothing again.
const (
	RolloutPlanning    RolloutPhase = "planned"     // nothing is started yet
	RolloutRunning     RolloutPhase = "running"     // tenants are moved, or watched
	RolloutWaiting     RolloutPhase = "waiting"     // for an answer, a window, or what cannot be seen
	RolloutRollingBack RolloutPhase = "rollingBack" // its tenants go back
	RolloutCompleted   RolloutPhase = "completed"
	RolloutAborted     RolloutPhase = "aborted"
	RolloutRolledBack  RolloutPhase = "rolledBack"
	RolloutPartlyBack  RolloutPhase = "partlyBack" // taken back, and not all of its tenants are
	RolloutSuperseded  RolloutPhase = "superseded" // a newer release came
)

// Closed says that the rollout is over.
func (p RolloutPhase) Closed() bool {
	switch p {
	case RolloutCompleted, RolloutAborted, RolloutRolledBack, RolloutPartlyBack, RolloutSuperseded:
		return true
	}
	return false
}

// Class is what became of a member. At the end each has exactly one of the last
// six.
type Class string

// The classes.
const (
	ClassPending    Class = ""       // not started
	ClassMoving     Class = "moving" // started, and not finished
	ClassUpgraded   Class = "upgraded"
	ClassFailed     Class = "failed"
	ClassRolledBack Class = "rolledBack"
	ClassSkipped    Class = "skipped"
	ClassHeld       Class = "held"
	ClassUnknown    Class = "unknown" // could not be seen when the rollout was closed
)

// Finished says that the member counts as tried: it joins or breaks a run of
// failures.
func (c Class) Finished() bool { return c == ClassUpgraded || c == ClassFailed }

// CanaryBatch is the number of the stage before batch 1.
const CanaryBatch = -1

// RolloutMember is one tenant of a rollout and what became of it.
type RolloutMember struct {
	Tenant string `json:"tenant"`
	// Place is its place in the order of the rollout, from 0.
	Place int `json:"place"`
	// Target is what it is moved to, From and FromRelease where it came from.
	Target      plans.Target `json:"target"`
	From        plans.Target `json:"from,omitzero"`
	FromRelease string       `json:"fromRelease,omitempty"`
	Ring        string       `json:"ring,omitempty"`
	Canary      bool         `json:"canary,omitempty"`
	// Batch it was taken into: CanaryBatch, or from 1; 0: none yet.
	Batch int   `json:"batch,omitempty"`
	Class Class `json:"class,omitempty"`
	// Begun says that it was seen in motion since it was started.
	Begun bool `json:"begun,omitempty"`
	// Moves says that an attempt of it is under way.
	Moves bool `json:"moves,omitempty"`
	// Restored says of a failed one that it serves what it served before, which may
	// be nothing.
	Restored bool `json:"restored,omitempty"`
	// Accepted failures were answered with continue_anyway: they are counted
	// in the summary and not by the breaker.
	Accepted bool `json:"accepted,omitempty"`
	// Retry lifts what is withheld when it is started again.
	Retry bool `json:"retry,omitempty"`
	// Back says that it was told to go back to where it came from.
	Back bool `json:"back,omitempty"`
	// NoWay says why it was not taken back with the rollout, or did not get there.
	NoWay string `json:"noWay,omitempty"`
	// Owed is the reason its target is still to be withheld for, after the
	// rollout was closed without it.
	Owed string `json:"owed,omitempty"`
	// Unwell is since when it has not been well though it reached its target.
	Unwell time.Time `json:"unwell,omitzero"`
	Since  time.Time `json:"since,omitzero"` // of the class
	// Took is how long it was on its way until it was well at its target.
	Took time.Duration `json:"took,omitempty"`
	Why  string        `json:"why,omitempty"`
	Log  string        `json:"log,omitempty"` // last output of a failed one
}

// RanNothing says that the member ran nothing before it was moved: one that
// failed and is as it was serves nothing.
func (m *RolloutMember) RanNothing() bool { return m.From.Core == "" }

// Summary counts the members by class; the fields add up to all of them once
// the rollout is closed.
type Summary struct {
	Upgraded   int `json:"upgraded"`
	Failed     int `json:"failed"`
	RolledBack int `json:"rolledBack"`
	Skipped    int `json:"skipped"`
	Held       int `json:"held"`
	Unknown    int `json:"unknown"`
}

func (s *Summary) count(c Class, by int) {
	switch c {
	case ClassUpgraded:
		s.Upgraded += by
	case ClassFailed:
		s.Failed += by
	case ClassRolledBack:
		s.RolledBack += by
	case ClassSkipped:
		s.Skipped += by
	case ClassHeld:
		s.Held += by
	case ClassUnknown:
		s.Unknown += by
	}
}

// Trip is a breaker that tripped.
type Trip struct {
	Why    string    `json:"why"`
	Since  time.Time `json:"since"`
	Commit string    `json:"commit,omitempty"` // in force when it tripped
	// Lifted says that a person said on the host of one of those that failed that
	// it may be tried again. Who gets well by itself answers nothing.
	Lifted bool `json:"lifted,omitempty"`
	// Floor says that too few tenants are healthy: the rollout does not go on by
	// itself when they are well again.
	Floor bool `json:"floor,omitempty"`
	// Turned counts how often other tenants failed than the question was about. It
	// is asked anew then, and an answer to what was asked before fits nothing, also
	// when the same ones have failed again.
	Turned int `json:"turned,omitempty"`
	// Question is set once nothing of the rollout is in motion any more.
	Question *Question `json:"question,omitempty"`
}

// Rollout is the memory of one rollout, as it is kept in the journal; its
// members are kept beside it, each for itself.
type Rollout struct {
	// ID names the change and the attempt at it: "ro-1f3a2b", "ro-1f3a2b-2".
	ID string `json:"id"`
	// Base is the id without the ordinal; Number counts all rollouts of the
	// node, oldest first.
	Base     string `json:"base"`
	Ordinal  int    `json:"ordinal"`
	Number   int    `json:"number"`
	Policy   string `json:"policy"`
	Template string `json:"template"`
	From     string `json:"from"`
	To       string `json:"to"`
	Commit   string `json:"commit,omitempty"` // in force when it was planned
	// Rules are the policy as it was read when the batch began, without its
	// windows and freeze dates: those count as they are in the plan.
	Rules plans.BatchPolicy `json:"rules"`

	Phase RolloutPhase `json:"phase"`
	Why   string       `json:"why,omitempty"`
	Since time.Time    `json:"since"` // of the phase
	// Gate is what it waits for.
	Gate    Gate      `json:"gate,omitzero"`
	Planned time.Time `json:"planned"`
	Ended   time.Time `json:"ended,omitzero"`
	Size    int       `json:"size"` // members
	// Note says what is unusual about how it was formed.
	Note string `json:"note,omitempty"`

	// Batch is the one under way: CanaryBatch, or from 1; 0: none was yet.
	Batch int `json:"batch,omitempty"`
	// Open says that the batch under way is not passed.
	Open bool `json:"open,omitempty"`
	// Started is when the last tenant was started, Well since when all of the
	// batch are done and well.
	Started time.Time `json:"started,omitzero"`
	Well    time.Time `json:"well,omitzero"`
	// Dark is since when somebody of a batch that is well cannot be seen: that
	// time is no bake.
	Dark time.Time `json:"dark,omitzero"`
	// Trips counts how often the breaker tripped; Trip is the open one.
	Trips int   `json:"trips,omitempty"`
	Trip  *Trip `json:"trip,omitempty"`
	// Ask is another question that is open: whether the next batch may begin, or
	// what becomes of tenants that did not go back.
	Ask *Question `json:"ask,omitempty"`
	// Tries counts how often those that did not go back were tried again.
	Tries int `json:"tries,omitempty"`
	// Approved is the batch a person said may begin, Accepted how many healthy
	// tenants were accepted as few enough to go on; 0: none was.
	Approved int     `json:"approved,omitempty"`
	Accepted int     `json:"accepted,omitempty"`
	Summary  Summary `json:"summary"`
}

// BatchName is the word for a batch: "canary", "batch 3".
func BatchName(n int) string {
	if n == CanaryBatch {
		return "canary"
	}
	return "batch " + itoa(n)
}
