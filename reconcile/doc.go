// Package reconcile is the core that decides. It has no inputs but its
// arguments and no outputs but its return values: no clock, disk, network,
// random number or map order.
//
//	want ── the plan's tenant ─┐
//	permit ── the rollout's ───┤
//	facts ── what is seen ─────┼──▶ Step ──▶ Decision{Actions, Wake, Report, Events}
//	results ── of actions ─────┤        └──▶ Record′
//	Record ── the journal's ───┘
//
// The order that makes it safe, kept by the agent:
//
//  1. look at the tenant (or know that one is blind),
//  2. Step,
//  3. write Record′, the events and the actions in one journal transaction,
//  4. only then act, one action of a tenant after the other,
//  5. hand the results to the next Step, after a new look.
//
// The tenant's machine, row by row, each file a row or a noun:
//
//	forward    preflight → (quiesce) → prepare → launch → verify → switch → bake → drain
//	back       restore what served, then take away what was made
//	steady     repair → next attempt → soak, retire, retention
//	aside      a sidecar or tenant-scoped service, on its own
//	live       routes, in place
//	hold, unknown, block, adopt, remove, rollback   what comes before all that
//	guard      asked again wherever something is stopped or removed
//
// A row proves itself by facts; where it cannot, it orders what it needs and
// says no. The decision's order of precedence is the switch in decide. Recreate
// and quiesced data are the same rows with the old version stopped first, under
// a hold of requests; the new version lives in the other slot there too, so that
// the old one can be started again as it was.
//
// After a crash between 3 and 5 the actions in flight are unknown: they are
// forgotten, the world is looked at, and Step decides again. Every action is
// therefore an order for a whole state and may be given twice.
package reconcile
