// Package plans holds the desired state of a fleet: the documents of a plan
// repository, how they merge into one resolved tenant, the normal form whose
// digest names a generation, and the rules that hold across documents.
//
//	Documents ─long form─▶ layers: Fleet defaults < Template < Tenant < slots.<slot>
//	                         │ RFC 7386 merge, field by field (Merge, reader)
//	                         ▼
//	                       Tenant ─rules─▶ Problems, each with its place and a hint
//	                         │ {{tenant}} {{node}} {{label.X}} expanded
//	                         ├─ normal form ─▶ Digest, Generation, Target
//	                         │ {{slot}} {{port}} expanded, ports and paths of the host
//	                         ├─▶ Instance   what a runtime is asked for
//	                         └─▶ Entry      what a router is asked for
//
// The first expansion is part of the digests, so that a changed label that a
// service uses is a new generation; the second is not, so that both slots and
// all hosts mean the same generation.
//
// Resolved values are shared: tenants of one template hold the same maps where
// they differ in nothing. Nobody changes a resolved value in place.
//
// The package is pure: it reads no clock, disk, network or random number. The
// schema package turns YAML text into the Documents this package resolves.
package plans
