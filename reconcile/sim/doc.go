// Package sim runs the tenant step against a host in memory under bad weather:
// lost requests and replies, late effects, crashes of ours at every boundary,
// blindness, sick and crashing instances, reboots, clock jumps, people with
// opinions, and plans that change at any moment.
//
// It has four parts: the world (shape, word, world, look, probe, execute), the
// weather (options, weather), the checkers (books and check files), which keep
// their own records and know nothing of the step's, and the runner. A run is
// one seed: the same seed is the same run. It has two phases. In the first
// anything may fail and nothing wrong may happen; in the calm that follows all
// faults stop and the tenant must come to rest where it should be.
//
// A run that fails is made as small as it gets, and what is printed is enough to
// repeat it:
//
//	go test ./reconcile/sim -run TestSeed$ -args -seed 4711 -turns 12 -without Crash,Plan@7
package sim
