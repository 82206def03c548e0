//go:build chaos

package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// chaosVariable says what happens at boundaries:
//
//	note:FILE   each is written to FILE
//	chain:FILE  the process dies at the first that FILE does not name, and
//	            notes it there: run again and again it dies once at each
//	kinds:FILE  as chain, but once at all that differ in nothing but whom
//	            they are about, however many tenants there are
//	at:NAME     the process dies at the first of that name
//
// A line of FILE is the name, "STEP/VERB/before" or "STEP/commit/after", a tab,
// and what tells one boundary of that name from another.
const chaosVariable = "RECONCILE_CHAOS"

type side string

const (
	before side = "before"
	after  side = "after"
)

func boundaryOfAction(s side, a *reconcile.Action) {
	boundary(fmt.Sprintf("%s/%s/%s", orIdle(a.Step), a.Verb, s), Target(*a)+" "+a.Why, "")
}

func boundaryOfTurn(s side, t *turn) {
	step, what, kinds := reconcile.Idle, []string{}, []string{}
	for _, put := range t.Tx.Puts {
		var rec struct {
			Phase reconcile.Phase `json:"phase"`
		}
		if put.Bucket == journal.Tenants && json.Unmarshal(put.Value, &rec) == nil {
			step = rec.Phase
		}
	}
	for _, w := range t.Work {
		for _, a := range w.actions {
			what = append(what, fmt.Sprintf("%s %s", a.Verb, Target(a)))
			kinds = append(kinds, string(a.Verb))
		}
	}
	for _, e := range t.Tx.Events {
		if e.Kind != "agent.interrupted" { // comes of dying
			what = append(what, e.Kind)
			if strings.HasPrefix(e.Kind, "rollout.") {
				kinds = append(kinds, e.Kind)
			}
		}
	}
	slices.Sort(kinds)
	boundary(fmt.Sprintf("%s/commit/%s", orIdle(step), s), strings.Join(what, ", "), strings.Join(slices.Compact(kinds), ", "))
}

func orIdle(p reconcile.Phase) string {
	if p == reconcile.Idle {
		return "idle"
	}
	return string(p)
}

var boundaries sync.Mutex // one at a time: the first dies alone

func boundary(name, what, kind string) {
	mode, file, _ := strings.Cut(os.Getenv(chaosVariable), ":")
	boundaries.Lock()
	defer boundaries.Unlock()
	switch mode {
	case "at":
		if file == name {
			die()
		}
	case "note":
		write(file, name, what)
	case "chain":
		if write(file, name, what) {
			die()
		}
	case "kinds":
		if write(file, name, kind) {
			die()
		}
	}
}

// write adds a boundary to the file, and says whether it is new there.
func write(file, name, what string) bool {
	line := name + "\t" + what
	old, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		panic(err)
	}
	if slices.Contains(strings.Split(string(old), "\n"), line) {
		return false
	}
	if err := os.WriteFile(file, append(old, line+"\n"...), 0o600); err != nil {
		panic(err)
	}
	return true
}

// die ends the process as kill -9 does: nothing is cleaned up.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
