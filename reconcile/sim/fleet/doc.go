// Package fleet plays rollouts over whole fleets, in virtual time. What decides
// is the rollout machine of the product (reconcile.Rollouts). The tenants are
// simpler than real ones: they keep the contract of permits and reports, with
// durations in the place of slots and drivers, so that ten thousand of them cost
// seconds. What the full machine of a tenant does with permits is played by the
// package above, with some of them.
//
// It serves two ends. Play tells a person what a plan and its policies come to
// when versions fail, and links nothing of the tests. Run makes the schedule of a
// seed: a fleet under weather, with checkers (Books) that keep their own records
// and know nothing of the machine's.
package fleet
