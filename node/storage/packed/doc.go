// Package packed is the byte format of a block: a few dozen records back to back behind a small
// directory. It has no pointers, so the garbage collector has nothing to look at. A scan is one
// copy, and no space is lost between records.
//
//	block  = count u16 | group × ⌈count/8⌉ | record × count
//	group  = 8 fingerprints (1 byte each) | 8 offsets (u16 each)
//	record = lengths u32 | key | metadata | value
//
//	lengths: bits 0–7 key length - 1, bits 8–17 metadata length, bits 18–31 value length
//
// All integers are little-endian. Offsets count from the first record, so the directory can grow
// without touching them. A group keeps its fingerprints and offsets together. A lookup compares
// eight fingerprints in one step, and finds the offset of a hit in the next cache line at most.
//
// Invariants:
//
//	P1. The records fill the block from the directory to its end, without gaps, in no particular
//	    order.
//	P2. Each of the first count directory slots points at the start of a record, no two at the
//	    same one. The slots behind them are zero.
//	P3. No two records of a block have the same key. The caller looks for the key before it
//	    appends.
//
// The methods trust the block that they work on. Check is for tests and for bytes of unknown
// origin. No method but Check allocates: the caller makes room before it appends or enlarges a
// record.
package packed
