// Package agentworld runs the whole agent, its goroutines, its journal and its
// restarts, against a host in memory under bad weather, in virtual time
// (testing/synctest). What is checked is seen from outside: what the drivers are
// asked to do, what the host then is, and what the journal was given to keep. The
// step is never asked. It holds tests only.
package agentworld
