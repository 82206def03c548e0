// Package outcomes has no code of its own: its table test plays what goes wrong
// on a host, with the real binaries on real parts, and asserts what becomes of
// it (state, reason, exit status, what still serves) and what a person is told.
package outcomes
