package agent

import (
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// first settles, on the first full look, whose host this is. An empty journal
// beside things that bear our mark is not taken for a new host, and neither is
// a route table with another controller's id.
func (e *Engine) first(s *sight) {
	if e.fresh && len(s.tenants()) == 0 && len(s.problems()) == 0 {
		e.fresh = false
		e.pending.Delete(journal.Meta, metaAdopt)
	}
	e.env.Empty = e.fresh
	if s.controller != "" && s.controller != e.owner.Controller {
		e.env.OtherController = s.controller
	}
	e.adopted(s.at)
}

// adopted takes a person's word that the host is ours.
func (e *Engine) adopted(now time.Time) {
	if !e.env.Empty && e.env.OtherController == "" {
		return
	}
	id := reconcile.AdoptID(e.env.Fleet, e.env.Node, e.env.OtherController)
	if e.answers[id] != Adopt {
		return
	}
	e.env.Empty, e.env.OtherController, e.fresh = false, "", false
	e.pending.Delete(journal.Meta, metaAdopt)
	if err := e.hear(id, "", now, &e.pending); err != nil {
		e.log.Error("answer not written down", "err", err)
	}
	e.urgent = true
	for _, m := range e.members {
		e.touch(m)
	}
}

// Adopt is the answer that makes a host with objects of ours, and no memory of
// them, ours again.
const Adopt = "adopt"

// Claims says that our id shall be written beside the route table.
func (e *Engine) Claims() bool {
	return e.started && !e.env.Empty && e.env.OtherController == "" && e.controller != e.owner.Controller
}
