package report

import (
	"cmp"
	"slices"
)

func sortBy[T any](s []T, key func(T) float64) {
	slices.SortFunc(s, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}

func sortNames(names []string) { slices.Sort(names) }
