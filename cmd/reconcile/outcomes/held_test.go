package outcomes

import (
	"testing"
	"time"
)

// A held tenant is not upgraded, and not repaired either; the others go on.
func held(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{tenants: []string{"ant", "bee"}})
	w.commit("hold ant", map[string]string{"ant.yaml": tenant("ant", "hold: {reason: Ann moves its disk}")})
	w.pass(0)
	before := w.started("ant")
	w.upgrade("1.1")
	w.pass(0)
	w.is(outcome{state: "held", serves: "1.0", says: []string{"Ann moves its disk", "until the hold is taken out of the plan"}})
	w.answers("bee", "1.1")
	w.same("ant", before)

	w.kill("ant")
	w.pass(0)
	if pid := w.serving("ant"); pid != 0 {
		t.Errorf("ant is held and was repaired: process %d", pid)
	}
	w.verb(0, []string{"held", "Ann moves its disk"}, "status")
	w.verb(2, []string{"blue/app has stopped"}, "drift") // said, and left alone
	w.commit("let ant go", map[string]string{"ant.yaml": tenant("ant", "")})
	w.pass(0)
	w.is(outcome{state: "converged", serves: "1.1"})
}

// A hold with an end is over by itself, and says when.
func heldUntil(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{})
	end := time.Now().Add(5 * time.Second).UTC().Truncate(time.Second)
	w.commit("hold ant for a while", map[string]string{"ant.yaml": tenant("ant", `hold: {reason: the disk is moved, until: "`+end.Format(time.RFC3339)+`"}`)})
	w.upgrade("1.1")
	w.daemon()
	w.comes(outcome{state: "held", says: []string{"the disk is moved", "until " + end.Format("2006-01-02")}})
	w.comes(outcome{state: "converged", serves: "1.1"})
	if late := time.Since(end); late < 0 {
		t.Errorf("it went on %s before the hold was over", -late)
	}
}
