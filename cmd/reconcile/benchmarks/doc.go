// Package benchmarks measures the whole of reconcile against its floor: the
// least that any tool would have to do for the same result, done bare in the
// same run. Every benchmark reports a ratio; nothing asserts a time.
package benchmarks
