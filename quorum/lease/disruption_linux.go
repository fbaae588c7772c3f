package lease

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The page that a hypervisor shows to its guests (struct vmclock_abi, version 1, of
// include/uapi/linux/vmclock-abi.h; all integers are little-endian). The hypervisor changes the
// marker before the guest goes on.
const (
	vmclock         = "/dev/vmclock0"
	vmclockMagic    = 0x4b4c4356 // "VCLK"
	vmclockVersion  = 1
	vmclockVersions = 8  // the offset of the version, of 2 bytes
	vmclockMarker   = 16 // the offset of the disruption marker, of 8 bytes
)

// Disruptions returns the marker of this machine's hypervisor. The error says why there is none; it
// matches fs.ErrNotExist where the hypervisor tells of no disruptions.
func Disruptions() (Marker, error) { return disruptions(vmclock) }

func disruptions(path string) (Marker, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // the mapping stays
	page, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if binary.LittleEndian.Uint32(page) != vmclockMagic || binary.LittleEndian.Uint16(page[vmclockVersions:]) != vmclockVersion {
		_ = unix.Munmap(page)
		return nil, fmt.Errorf("%s: not a clock of version %d", path, vmclockVersion)
	}
	// A load of an aligned word is whole. Its byte order does not matter: only changes do.
	word := (*uint64)(unsafe.Pointer(&page[vmclockMarker]))
	return func() uint64 { return atomic.LoadUint64(word) }, nil
}
