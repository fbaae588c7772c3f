package api

import (
	"strconv"

	"viakv/quorum/version"
)

// appendTag appends a version as Tag.String renders it, without its allocations.
func appendTag(dst []byte, t version.Tag) []byte {
	if t.IsZero() {
		return append(dst, "absent"...)
	}
	dst = strconv.AppendUint(dst, uint64(t.Generation), 10)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, t.Counter, 10)
	dst = append(dst, '@')
	dst = strconv.AppendUint(dst, uint64(t.Incarnation), 10)
	if t.Removed {
		dst = append(dst, "✗"...)
	}
	return dst
}
