// Package scan reads everything. It walks over the buckets of this node's own copy in the order of
// ranks, one round of buckets at a time. Where the node answers from its own copy, it delivers what
// that holds (L3). Elsewhere it delivers what as many replicas agree on as a read asks.
// docs/glossary.md explains the terms.
//
//	copy a round of own buckets ─▶ ask R-1 peers for their digests of exactly these ranges, unless
//	                               the node answered alone when the copy began
//	   a range agrees ─▶ deliver the own records that are known to be complete;
//	                     read each other key through the coordinator
//	   it differs     ─▶ look again: most often a write was under way
//	      it differs twice ─▶ copy the range from the same peers;
//	                          read each key on which they differ, through the coordinator
//
// Three goroutines work at once, each on a round of its own: the first copies it, the second
// confirms it with the peers, the third delivers it. The invariants are:
//
//	C1. A key is delivered at most once. Rounds are disjoint intervals of ranks, even when buckets
//	    split and merge meanwhile.
//	C2. Each delivered pair is what a read of its key would have answered at some moment of the
//	    scan. Either its record was in a copy that held all that was complete (L3), or on as many
//	    replicas, at one epoch, as a read asks (D4), and is known to be complete (L6); or a read
//	    has answered it.
//	C3. A round is stamped with one epoch. When the epoch ends, the round is made again. A clear
//	    ends the scan.
//	C4. A cursor is a place in the order of ranks and nothing else. Every node of the cluster can
//	    go on from it.
//	C5. A scan whose reader stops costs four rounds of memory and no lock.
package scan
