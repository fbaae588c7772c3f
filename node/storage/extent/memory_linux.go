package extent

import "syscall"

// A terabyte of address space in regions of 256 MiB.
const (
	regionBits  = 28
	regionBytes = 1 << regionBits
	maxRegions  = 1 << 12
)

// reserveRegion maps a region. Its pages take memory when they are first written to. If the system
// refuses (a limit of address space, strict overcommit), the region comes from the Go heap. That
// works as well, but the collector then counts the region as heap.
func reserveRegion(hugePages bool) []byte {
	b, err := syscall.Mmap(-1, 0, regionBytes, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return make([]byte, regionBytes)
	}
	if hugePages {
		_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) // only a hint: without it everything works, slower
	}
	return b
}

// release unmaps a region. For a region of the Go heap the call fails without effect, and the
// collector frees it.
func release(b []byte) { _ = syscall.Munmap(b) }

// discard gives the pages of an extent back to the system; their content is lost. It does no harm
// to memory of the Go heap: the system maps the pages anew at the next touch.
func discard(b []byte) { _ = syscall.Madvise(b, syscall.MADV_DONTNEED) }
