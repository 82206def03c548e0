package outcomes

import "testing"

// What cannot be moved with its data is blocked with its reason, and what runs
// keeps serving, repaired where it is.
func changedSource(t *testing.T) {
	cannotMove(t, "", func(f *fleet) { f.volume = "{access: many, onUpgrade: share, source: elsewhere}" },
		`volume notes has its data below ""; the plan now says "elsewhere"`, "put the source back")
}

func changedDriver(t *testing.T) {
	cannotMove(t, "", func(f *fleet) {
		f.volume = "{access: many, onUpgrade: share, driver: zfs, source: tank/tenants}"
	}, "volume notes has its data with driver dir; the plan now says zfs", "put the driver back to dir")
}

func changedNode(t *testing.T) {
	cannotMove(t, "", func(f *fleet) { f.spec = "  node: elsewhere\n" },
		"the plan puts it on node elsewhere", "put the node back to ")
}

func changedRuntime(t *testing.T) {
	e := shop.Engine(t)
	cannotMove(t, e.Host, func(f *fleet) { f.spec = "  runtime: docker\n" },
		"its services run in process; the plan now says docker", "put the runtime back to process")
}

func cannotMove(t *testing.T, dockerHost string, change func(*fleet), why, next string) {
	w := newWorld(t, process, nil)
	if dockerHost != "" {
		w.configure("drivers:\n", "drivers:\n  docker: {host: \""+dockerHost+"\"}\n")
	}
	w.settle(fleet{})
	before := w.started("ant")
	was := w.fleet
	change(&w.fleet)
	w.fleet.image = w.image("1.1")
	w.template("what cannot be moved")
	w.pass(3, "blocked  ant: "+why, next)
	w.is(outcome{state: "heldBack", reason: "blocked", serves: "1.0", says: []string{why, next}})
	w.same("ant", before)
	w.kill("ant")
	w.pass(3, why)
	w.answers("ant", "1.0")
	w.comes(outcome{state: "heldBack", reason: "blocked", serves: "1.0", says: []string{why}})

	w.fleet = was
	w.template("as it was")
	w.pass(0)
	w.is(outcome{state: "converged", serves: "1.0"})
}
