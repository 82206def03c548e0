package plans

import (
	"cmp"
	"iter"
	"maps"
	"slices"
)

// Sorted visits m in the order of its keys. It is the only way these packages
// walk a map, so that no output ever depends on Go's map order.
func Sorted[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
