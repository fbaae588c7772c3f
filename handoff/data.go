package handoff

import (
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// entryOverhead is about what an entry costs on the wire without key and value, in bytes.
const entryOverhead = 24

// wireSize is about what the entry costs on the wire, in bytes.
func wireSize(e *replica.Entry) int {
	return len(e.Key) + len(e.Record.Value) + len(e.Record.Vector) + entryOverhead
}

// tagSize is about what the version at one rank costs on the wire, in bytes.
const tagSize = 16

// digestSize is about what the comparison of one range costs on the wire, both ways, in bytes.
const digestSize = 32 + 16

// List is what one purge removes.
type List struct {
	ID         uint64
	At         version.Epoch // the epoch at which the members say that they hold the list
	Tombstones []replica.Tombstone
}
