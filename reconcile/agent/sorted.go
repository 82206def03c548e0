package agent

import (
	"cmp"
	"maps"
	"slices"
)

// sortedKeys returns the keys of m by order, ties by key.
func sortedKeys[K cmp.Ordered, V any](m map[K]V, order func(a, b K) int) []K {
	keys := slices.Collect(maps.Keys(m))
	slices.SortFunc(keys, func(a, b K) int {
		return cmp.Or(order(a, b), cmp.Compare(a, b))
	})
	return keys
}
