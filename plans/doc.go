// Package plans holds the desired state of a fleet: the documents of a plan
// repository, how they merge into one resolved tenant, the normal form whose
// digest names a generation, and the rules that hold across documents.
//
// It is pure: it reads no clock, disk, network or random number. The schema
// package turns YAML text into the Documents this package resolves.
package plans
