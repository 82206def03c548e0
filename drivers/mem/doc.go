// Package mem is a small true host in memory: instances with start times, exits
// and restarts, an image registry, a route table with revisions, holds and open
// requests, and datasets with snapshots and clones. It passes the same suites
// as the drivers of a real host.
//
// It knows no wall clock: time is what Config.Now says, and what is due by then
// (an exit, a restart, a hold's limit) has happened whenever one looks. The same
// calls at the same times give the same host.
//
// The simulator, the tests of the agent and the dry-run live on it; a dry-run
// fills it from the observed facts with Load.
package mem
