// Package endtoend has no code of its own: its tests run the real binaries on
// real parts, as an operator would. A plan repository, an image registry,
// reconcile, reconcile-caddy, and the embedded runtime or a Docker engine that
// belongs to the tests alone.
//
// The long forms are run by -soak.
package endtoend
