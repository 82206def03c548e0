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
// After a crash between 3 and 5 the actions in flight are unknown: they are
// forgotten, the world is looked at, and Step decides again. Every action is
// therefore an order for a whole state and may be given twice.
package reconcile
