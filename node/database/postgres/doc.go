// Package postgres keeps keys and values in PostgreSQL or CockroachDB. A node with this store holds nothing itself: any number of
// them serve the same data.
//
//	viakv_generation  one row: the count of clears, and the key that seals cursors
//	viakv_items       (generation, key) → value; rows of an older generation are garbage
//	viakv_collector   one row: the node that deletes garbage, and until when
//	viakv_migrations  the versions of this schema that were applied
//
// P1. Every request is one constant statement in autocommit, which reads the generation itself. So a request is atomic, and
// belongs to exactly one generation: the one its statement saw.
//
// P2. A clear adds one to the generation: one row is written, however many keys there are. Once it has committed, no statement that
// begins sees a row written before. A request that overlaps the clear and still saw the old generation is ordered before it. The garbage
// is deleted later, in small paced batches, by one node at a time. Rejected: TRUNCATE (it queues every
// request behind the longest reader, and on CockroachDB it is a schema change, whose two versions nodes see for a while); a swap of tables (the
// same, and prepared statements break); DELETE of everything (ten million row locks in one transaction).
//
// P3. A statement is re-run only when it certainly changed nothing: the server refused it (serialization failure, deadlock), or
// nothing was sent. Reads are re-run after a lost connection too. A mutation whose answer was lost is outcome Unknown
// and never re-run: a late second attempt could bring an overwritten value back.
//
// P4. No request holds a connection while its client reads: a scan is a row of keyset pages. Only a snapshot scan does, and few may run.
//
// P5. Keys and values are BYTEA: the order of keys is that of their bytes, under every collation, and NUL is a byte like any other.
//
// P6. Nothing is served by a server that is read-only: a standby would answer with what once was.
//
// Versions: a row has none, so tags are zero. What CockroachDB and PostgreSQL do not share is confined to migrate.go.
package postgres
