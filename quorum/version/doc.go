// Package version defines what one stored version of a key is and how two versions are settled.
//
//	record = tag, version vector, and a value or, for a tombstone, its owner
//
// The package is pure: values in, values out, nothing of the module imported.
//
// Invariants, cited by number elsewhere:
//
//	V1. Tags are totally ordered and minted once: no two writes of a key ever carry the same tag. A tombstone's tag is its
//	    base's with Removed set, so it sorts right after the version that it removes and below every later one.
//	V2. A record never changes once tagged, but for one field: a tombstone's Owner may become Contested.
//	V3. Merge is commutative, associative and idempotent: replicas that have seen the same records, in whatever order
//	    and how often, hold the same record.
//	V4. Tags decide, vectors explain. A vector tells an overwrite from a conflict for reports and metrics;
//	    it never takes part in deciding which version stays.
package version
