// Package version defines what one stored version of a key is, and how two versions are settled.
//
//	record = tag, version vector, and a value or, for a tombstone, its owner
//
// The package is pure: its functions map values to values. Of this module it imports only package
// rule.
//
// Invariants, cited by number elsewhere:
//
//	V1. Tags are totally ordered and minted once: no two writes of a key ever carry the same tag.
//	    The tag of a tombstone is the tag of the removed version with Removed set. So it sorts
//	    right after that version and below every later one.
//	V2. A record never changes once it has a tag, with one exception: the Owner of a tombstone may
//	    become Contested.
//	V3. Merge is commutative, associative and idempotent. Replicas that have seen the same records
//	    hold the same record, in whatever order and however often the records arrived.
//	V4. Tags decide, vectors explain. A vector tells an overwrite from a conflict, for reports and
//	    metrics. It plays no part in deciding which version stays.
package version
