// Package quorum coordinates one request over the replicas of a key.
//
// The register is ABD (Attiya, Bar-Noy, Dolev: Sharing Memory Robustly in Message-Passing Systems,
// J. ACM 42, 1995) with many writers (Lynch, Shvartsman: Robust emulation of shared memory using
// dynamic quorum-acknowledged broadcasts, FTCS 1997):
//
//	set     ask R for tags ─▶ mint a tag above all seen ─▶ store at all, answer at W
//	        (one round where one peer completes R and W: fast.go)
//	get     ask R for the record ─▶ they agree: answer
//	                              └▶ they differ: store the highest at W (read repair) ─▶ answer
//	remove  get ─▶ missing: answer so
//	            └▶ else send a tombstone that each replica votes for at most once,
//	               answer at W votes
//
// Every node holds all keys, so the coordinator is itself a replica and one peer's answer completes
// a majority of three.
//
// A request is a sequence of phases. A phase is a value that counts answers and says what they come
// to (phase.go, testdata/phase). An operation drives one request: it begins a phase, starts its
// calls, and waits for its verdict. Scans of everything are in the room quorum/scan.
//
// Invariants, cited by number (D rules are those of docs/consistency.md):
//
//	Q1. No lock is held across a peer call. An operation's mutex guards its phase and nothing that
//	    waits.
//	Q2. Every operation ends by its deadline; an outcome that is already impossible is reported at
//	    once.
//	Q3. The coordinator's own replica answers first and by the same rules of epochs as a peer.
//	Q4. A phase runs at the one epoch it is stamped with: a reply given at another epoch is no
//	    reply (D2).
//	Q5. Phase 2 is begun at most once under a tag and re-sent only with the same record (D6, and
//	    D10 for an offer). What did not begin it has outcome none; what began it and was not
//	    answered by W has outcome unknown.
//	Q6. An operation outlives its request until each of its calls has ended; a member that did not
//	    store the record by then gets a hint.
package quorum
