// Package quorum coordinates one request over the replicas of a key. docs/glossary.md explains the
// terms.
//
// The register is ABD (Attiya, Bar-Noy, Dolev: Sharing Memory Robustly in Message-Passing Systems,
// J. ACM 42, 1995) with many writers (Lynch, Shvartsman: Robust emulation of shared memory using
// dynamic quorum-acknowledged broadcasts, FTCS 1997):
//
//	set     ask R for tags ─▶ mint a tag above all seen ─▶ store at all, answer at W
//	get     ask R for the record ─▶ they agree, or the highest is known to be complete: answer
//	                              └▶ else store the highest at W (read repair) ─▶ answer
//	remove  get ─▶ missing: answer so
//	            └▶ else send a tombstone that each replica votes for at most once,
//	               answer at a majority of votes, and at W at least
//
// Every node holds all keys. So the coordinator is itself a replica, and the answer of one peer
// completes a majority of three. A node that holds leases of other members (package lease) misses
// nothing that is complete, and asks nobody before it answers or writes (L3, L14, L15):
//
//	get     its own copy has the record, known to be complete: answer
//	set     mint a tag above all that its own copy has had ─▶ store at all, answer at W, R vouch
//	remove  its own copy has no value, known to be complete: answer so
//	        └▶ else send the tombstone, as above
//
// In turn, a write is answered only once each holder of a lease has it that a replica names (L4).
//
// A request is a sequence of phases. A phase is a value that counts answers and says what they come
// to (phase.go, testdata/phase). An operation drives one request: it begins a phase, starts its
// calls, and waits for its verdict (operation.go). A get is in get.go, a set in set.go. Both ask by
// query.go. What is known to be complete is in complete.go, and who is waited for in holders.go.
// Scans of all keys are in package quorum/scan.
//
// Invariants, cited by number (D rules are those of docs/consistency.md):
//
//	Q1. No lock is held across a peer call. An operation's mutex guards its phase. It guards
//	    nothing that waits.
//	Q2. Every operation ends by its deadline. When its success has become impossible, it reports so
//	    at once. When its node has gone on to another epoch, it soon goes on, too.
//	Q3. The coordinator's own replica answers first, by the same rules of epochs as a peer.
//	Q4. A phase runs at the one epoch that it is stamped with. A reply given at another epoch is no
//	    reply (D2).
//	Q5. The write phase is begun at most once under a tag. It is sent again only with the same
//	    record (D6). An operation that fails before its write phase has outcome none. One that has
//	    begun it and was not answered by W has outcome unknown.
//	Q6. An operation outlives its request until each of its calls has ended. A member that has not
//	    stored the record by then gets a hint.
package quorum
