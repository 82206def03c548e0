package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// Bucket is a named part of the journal. Values are JSON.
type Bucket string

// The buckets, with what their keys are.
const (
	Meta     Bucket = "meta"     // by name: clock, commit, port/N, …
	Tenants  Bucket = "tenant"   // reconcile.Record by tenant name
	Rollouts Bucket = "rollout"  // by rollout id
	Inflight Bucket = "inflight" // reconcile.Action by action id
	Specs    Bucket = "spec"     // plans.Core or plans.Service by digest
	outbox   Bucket = "outbox"   // events not yet known to be in a synced segment
)

var buckets = []Bucket{Meta, Tenants, Rollouts, Inflight, Specs, outbox}

// Errors of a store.
var (
	// ErrClosed: the store was closed, or a Memory crashed.
	ErrClosed = errors.New("journal is closed")
	// ErrNewer: the journal was written by a later version of reconcile.
	ErrNewer = errors.New("journal has a newer format")
)

// Store is durable memory. Commit is atomic and durable: after an error either
// all of it is there or nothing, and the caller reads the store again before it
// decides anything. A Store is used by one loop; only Events and GiveBack may be
// called beside it.
type Store interface {
	Commit(Tx) error
	// Get returns the value of a key, nil if there is none.
	Get(b Bucket, key string) ([]byte, error)
	// Each calls fn for every key of b in ascending order, until fn errs.
	// The value is valid only during the call.
	Each(b Bucket, fn func(key string, value []byte) error) error
	// Events returns logged events, oldest first.
	Events(Query) ([]Logged, error)
	// GiveBack gives memory that nothing needs before the next start back to the
	// host. It may be called beside the loop.
	GiveBack() error
	// Fresh says that the journal was empty when it was opened.
	Fresh() bool
	Close() error
}

// Tx is what one turn writes.
type Tx struct {
	Puts   []Put
	Events []reconcile.Event
}

// Put sets a key; a nil Value deletes it. Later puts of a key win.
type Put struct {
	Bucket Bucket
	Key    string
	Value  []byte
}

// Put adds v, as JSON, to the transaction.
func (t *Tx) Put(b Bucket, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s/%s: %w", b, key, err)
	}
	t.Puts = append(t.Puts, Put{b, key, data})
	return nil
}

// Delete adds the removal of a key to the transaction.
func (t *Tx) Delete(b Bucket, key string) {
	t.Puts = append(t.Puts, Put{Bucket: b, Key: key})
}

// Empty says that there is nothing to write.
func (t *Tx) Empty() bool { return len(t.Puts) == 0 && len(t.Events) == 0 }

// Logged is an event with its number in the log. Numbers rise by one from 1 and
// are never used again.
type Logged struct {
	Seq uint64 `json:"seq"`
	reconcile.Event
}

// Query selects logged events. The zero Query selects all that are kept.
type Query struct {
	After  uint64    // only later numbers
	Since  time.Time // only at or after
	Tenant string    // only of this tenant
	// Rollout selects the events that have this id in their field rollout.
	Rollout string
	Last    int // at most so many, the newest; 0: all
}

func (q Query) wants(e *Logged) bool {
	return e.Seq > q.After && !e.Time.Before(q.Since) && (q.Tenant == "" || e.Tenant == q.Tenant) &&
		(q.Rollout == "" || e.Fields["rollout"] == q.Rollout)
}

// trim keeps the newest q.Last of events.
func (q Query) trim(events []Logged) []Logged {
	if q.Last > 0 && len(events) > q.Last {
		return events[len(events)-q.Last:]
	}
	return events
}
