// Package drivertest is one conformance suite per driver interface. A driver's
// test file fills a harness, which says how to make a fresh host and how to do
// to it what a driver cannot (be a foreigner, reboot, send a request), and runs
// the suite:
//
//	func TestRuntime(t *testing.T) {
//		drivertest.RunRuntime(t, drivertest.Runtime{New: …, Image: …})
//	}
//
// The cases of a suite can be had without running them (RuntimeCases and so on), to
// be run inside a bubble of testing/synctest.
//
// What a harness leaves nil is skipped by name, so that a run with -v shows
// what was not proved. Expectations that differ between drivers follow their
// Traits.
package drivertest
