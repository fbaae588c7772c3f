// Package watermark tells which records are complete: so many replicas hold them that no later read
// can miss them.
//
// A coordinator numbers its records with its Counter, which only grows: a value by the counter of
// its tag, a tombstone by the sequence of its owner. A number is open from the moment it is taken
// until its record is complete. The watermark is at most the least open number. It travels on every
// message between members. A record is known to be complete, or confirmed, where its number lies
// below the watermark known for its coordinator. So that costs one comparison, and nothing is kept
// per key.
//
// Rules, cited by number (L rules are those of docs/consistency.md):
//
//	L6. A number is taken and entered as open in one step. Otherwise the watermark could pass it. A
//	    record whose request got no answer stays open until it is complete, or known to be nowhere.
//	L8. The watermark of an incarnation that is gone stays as it was last known. What lies above it
//	    was perhaps never completed.
//
// Close relative: the safe time of Spanner (Corbett et al., OSDI 2012, §4.1.3), below which no
// write is outstanding. There it is a time, and here a number of each coordinator.
package watermark
