package agent

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// metaWord and a tenant's name: what a person on this host told it, until it has
// heard that.
const metaWord = "word/"

// words are what a person on this host told one tenant. They are written down
// before the person is answered, and let go with the step that hears them: told
// once is heard once, whenever the agent dies between.
type words struct {
	// Order is reconcile.GoBack or wordRetry.
	Order reconcile.Local `json:"order,omitempty"`
	// Snapshot is what the tenant's data are to go back to, Granted that this
	// needs no other word.
	Snapshot string `json:"snapshot,omitempty"`
	Granted  bool   `json:"granted,omitempty"`
}

// wordRetry is the order of Retry.
const wordRetry reconcile.Local = "retry"

// say puts the words into the input of a step.
func (w *words) say(in *reconcile.Input) {
	if w == nil {
		return
	}
	if w.Order == wordRetry {
		in.Retry = true
	} else {
		in.Local = w.Order
	}
	if w.Snapshot != "" {
		in.Data = &reconcile.DataWord{Snapshot: w.Snapshot, Granted: w.Granted}
	}
}

// told lets go of the words a tenant has heard.
func (m *member) told(tx *journal.Tx) {
	if m.words != nil {
		m.words = nil
		tx.Delete(journal.Meta, metaWord+m.name)
	}
}

// order writes down what a tenant is told, and has it step. The caller holds mu.
func (a *Agent) order(m *member, say func(*words), events ...reconcile.Event) error {
	var w words
	if m.words != nil {
		w = *m.words
	}
	say(&w)
	tx := journal.Tx{Events: events}
	if err := tx.Put(journal.Meta, metaWord+m.name, w); err != nil {
		return err
	}
	if err := a.write(tx); err != nil {
		return err
	}
	m.words = &w
	a.tell(turn{Tx: tx})
	a.engine.touch(m)
	a.Nudge()
	return nil
}

// loadWords reads what tenants were told and have not heard.
func (e *Engine) loadWords(store journal.Store) error {
	return store.Each(journal.Meta, func(key string, v []byte) error {
		name, ok := strings.CutPrefix(key, metaWord)
		if !ok {
			return nil
		}
		var w words
		if err := json.Unmarshal(v, &w); err != nil {
			return fmt.Errorf("what %s was told: %w", name, err)
		}
		m := e.get(name)
		m.words = &w
		e.touch(m)
		return nil
	})
}
