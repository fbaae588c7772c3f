package packed

import (
	"errors"
	"fmt"
)

// errCorrupt is the error that every fault found by Check wraps.
var errCorrupt = errors.New("packed: malformed block")

// Check returns an error if b breaks P1 or P2. If it returns nil, every method may be called on b.
func (b Block) Check() error {
	if len(b) == 0 {
		return nil
	}
	if len(b) < countBytes || len(b) > MaxBytes {
		return fmt.Errorf("%w: %d bytes", errCorrupt, len(b))
	}
	n := b.count()
	base := first(n)
	if n == 0 || base > len(b) {
		return fmt.Errorf("%w: %d records in %d bytes", errCorrupt, n, len(b))
	}
	starts := make(map[int]bool, n)
	at := base
	for range n {
		if at+lengthBytes > len(b) {
			return fmt.Errorf("%w: a record at %d of %d", errCorrupt, at, len(b))
		}
		starts[at-base] = true
		key, meta, value := lengths(b[at:])
		at += RecordBytes(key, meta, value)
	}
	if at != len(b) {
		return fmt.Errorf("%w: the records end at %d of %d", errCorrupt, at, len(b))
	}
	for slot := range (n + groupSlots - 1) / groupSlots * groupSlots {
		o := b.offset(slot)
		switch {
		case slot < n && !starts[o]:
			return fmt.Errorf("%w: slot %d points at %d, where no record of its own begins", errCorrupt, slot, o)
		case slot >= n && (o != 0 || b[mark(slot)] != 0):
			return fmt.Errorf("%w: slot %d of %d is not empty", errCorrupt, slot, n)
		}
		delete(starts, o)
	}
	return nil
}
