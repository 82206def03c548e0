// Package drivers is the contract between the agent and whatever really runs a
// tenant: Runtime (instances), Router (requests), Storage (data) and Prober
// (health). A driver says in its Traits what it can honour; a plan field it
// cannot is refused by name before anything starts.
//
// All drivers share these rules, which drivers/drivertest proves:
//   - A call is told the whole wanted state, never a step towards it. The same
//     call twice, or after a lost reply, changes nothing further.
//   - Only what bears this fleet's and node's mark is shown or touched. An object
//     that has our name without our mark is a Refused problem naming it.
//   - Errors are *observed.Problem with a class; the caller decides on retries.
//   - The context bounds a call. A cancelled call may have taken effect: the
//     caller looks before it acts again.
package drivers
