//go:build !linux

package extent

// On other systems the regions come from the Go heap. They are small, so that a small store has a
// small heap.
const (
	regionBits  = 22
	regionBytes = 1 << regionBits
	maxRegions  = 1 << 16
)

func reserveRegion(bool) []byte { return make([]byte, regionBytes) }

func release([]byte) {}

func discard([]byte) {}
