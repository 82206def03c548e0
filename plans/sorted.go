package plans

import (
	"cmp"
	"iter"
	"slices"
)

// Sorted visits m in the order of its keys. It is the only way these packages
// walk a map, so that no output ever depends on Go's map order. The keys are
// those m had at the start.
func Sorted[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if len(m) < 2 {
			for k, v := range m {
				yield(k, v)
			}
			return
		}
		var few [16]K // most maps of a plan are small: their keys stay on the stack
		keys := few[:0]
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
