// Package agent is the shell around the core: one loop that looks, steps,
// writes down, and only then acts.
//
//	       ┌──────────── look ◀── hints, dues, results ───────────┐
//	       ▼                                                      │
//	facts ──▶ Engine.Turn ──▶ journal.Commit ──▶ actions ──▶ Executor
//	             ▲                                                │
//	plan, probes ┘                        results, then a new look┘
//
// Engine is single-threaded and knows no clock, disk or goroutine; Agent wraps
// it with one loop, workers, deadlines and a journal, as etcd raft's Node wraps
// its RawNode. The dry-run drives the same Engine over mem drivers in virtual
// time, so there is no second planner.
package agent
