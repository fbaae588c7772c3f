// Package scan reads everything: it walks over the buckets of this node's own copy in the order of
// ranks, a round of them at a time, and delivers what as many replicas agree on as a read asks.
//
//	copy a round of own buckets ─▶ ask R-1 peers for their digests of exactly these ranges
//	   a range agrees ─▶ all its keys satisfy D4: deliver the own records
//	   it differs     ─▶ look again: a write was under way, mostly
//	      it differs twice ─▶ copy the range from the same peers;
//	                          read each key on which they differ, through the coordinator
//
// Three work at once, each on a round of its own: one copies, one confirms with the peers, one
// delivers. Its invariants:
//
//	C1. A key is delivered at most once: rounds are disjoint intervals of ranks, however the buckets
//	    split and merge meanwhile.
//	C2. Each pair delivered is what a read of its key would have answered at some moment of the
//	    scan: its record was on as many replicas, at one epoch, as a read asks (D4), or a read
//	    answered it.
//	C3. A round is stamped with one epoch. When the epoch ends the round is made again; a clear ends
//	    the scan.
//	C4. A cursor is a place in the order of ranks and nothing else. Every node of the cluster can go
//	    on from it.
//	C5. A scan whose reader stops costs four rounds of memory and no lock.
package scan
