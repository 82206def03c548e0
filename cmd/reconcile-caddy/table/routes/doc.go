// Package routes is the tenant table itself: which slot each host and path
// leads to, what is open and held there, and how all of it survives a crash.
// It knows nothing of Caddy.
//
//	request ── host, path ──▶ hosts (lock-free) ──▶ Tenant ── one lock ──▶ slot address, counted
//	change ── one at a time ──▶ log (two files, fsync) ──▶ Tenant ──▶ hosts
//
// A change is durable before a request can follow it, and acknowledged after.
// A request is counted under the lock under which it takes its address, so an
// in-flight count of zero seen after a change means: nothing is on its way.
package routes
