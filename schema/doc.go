// Package schema turns YAML text into plan documents, or into problems that
// say file, line, column, what was expected and what to do.
//
//	text ─split─▶ document ─yaml nodes─▶ JSON value ─JSON Schema─▶ plans.Document
//	                 │                       │            │
//	                 └───────────── plans.Problem ◀───────┘
//
// The JSON Schemas beside this file are the format: one a kind, shared parts in
// defs.schema.json. They are embedded, published under their $id, and the
// source of docs/plan-reference.md.
//
// YAML is read more narrowly than its standard allows: what two readers of YAML
// could take for two different things is refused, with the form to write
// instead. See scalar.go for values and document.go for structure.
package schema

//go:generate go run ./internal/reference -o ../docs/plan-reference.md
