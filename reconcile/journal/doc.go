// Package journal is the durable memory of an agent and its event log.
//
// One turn of the agent's loop is one transaction: the records of the tenants
// that stepped, the actions about to be carried out, the specs their way back
// needs, and the events. Only after Commit has returned nil does a hand move.
//
// Two stores pass one suite: Bolt, a state directory on disk, and Memory, which
// can be crashed before or after a commit and opened again on what was durable.
//
//	STATE/controller      the controller id, made with the directory
//	STATE/lock            held by the process that has the state open
//	STATE/journal.db      bbolt: meta, tenant, rollout, inflight, spec, outbox
//	STATE/events/DAY.jsonl  one event a line, kept for Options.Retain
package journal
