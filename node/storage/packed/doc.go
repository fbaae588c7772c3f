// Package packed is the byte format of a block: a few dozen records back to back behind a small directory, without
// pointers, so that the garbage collector has nothing to look at, a scan is one copy, and no space is lost between records.
//
//	block  = count u16 | group × ⌈count/8⌉ | record × count
//	group  = 8 fingerprints (1 byte each) | 8 offsets (u16 each)
//	record = lengths u32 | key | metadata | value
//
//	lengths: bits 0–7 key length - 1, bits 8–17 metadata length, bits 18–31 value length
//
// All integers are little-endian. Offsets count from the first record, so the directory can grow without touching them. A
// group keeps its fingerprints and offsets together: a lookup compares eight fingerprints in one step and finds the offset
// of a hit in the next cache line at most.
//
// Invariants:
//
//	P1. The records fill the block from the directory to its end, without gaps, in no particular order.
//	P2. Each of the first count directory slots points at the start of another record; the slots behind them are zero.
//	P3. No two records of a block have the same key. The caller looks before it appends.
//
// The methods trust the block they work on: Check is for tests and for bytes of unknown origin. They never allocate: who
// appends or enlarges makes room first.
package packed
