// Package postgres keeps keys and values in PostgreSQL or CockroachDB. A node with this store holds
// nothing itself: any number of such nodes serve the same data.
//
//	viakv_generation  one row: the count of clears, and the key that seals cursors
//	viakv_items       (generation, key) → value; rows of an older generation are garbage
//	viakv_collector   one row: the node that deletes garbage, and until when
//	viakv_migrations  the versions of this schema that were applied
//
// P1. Every request except a scan is one constant statement in autocommit, which reads the
// generation itself. So a request is atomic, and belongs to exactly one generation: the one that
// its statement saw.
//
// P2. A clear adds one to the generation. That writes one row, however many keys there are. Once
// the clear has committed, no statement that begins later sees a row written before it. A request
// that overlaps the clear and still saw the old generation is ordered before it. The garbage is
// deleted later, in small paced batches, by one node at a time. Three other ways were rejected.
// TRUNCATE queues every request behind the longest reader. On CockroachDB it is also a schema
// change, of which nodes see two versions for a while. A swap of tables has the same fault, and
// breaks prepared statements. DELETE of everything takes ten million row locks in one transaction.
//
// P3. A statement is re-run only when it certainly changed nothing: the server refused it
// (serialization failure, deadlock), or nothing was sent. Reads are re-run after a lost connection,
// too. A mutation whose answer was lost has outcome Unknown and is never re-run: a late second
// attempt could bring an overwritten value back.
//
// P4. No request holds a connection while its client reads: a scan is a sequence of keyset pages.
// Only a snapshot scan holds one, and few of them may run.
//
// P5. Keys and values are BYTEA. So the order of keys is that of their bytes under every collation,
// and NUL is a byte like any other.
//
// P6. The store serves nothing from a read-only server, because a standby would answer with an old
// state.
//
// P7. A batch of sets is one statement, whose values are two arrays. So all values of a batch share
// one outcome and one generation, and other requests see all of them or none. The statement locks
// the rows in the order of their keys. Without that, two batches of the same keys in different
// orders would each wait for a row that the other has locked. A server that locks in another order
// ends one of the two, which is then re-run (P3).
//
// P8. A batch of gets is one statement, too, whose keys are an array. So it shows one moment, and
// its keys share one error. It is re-run as every read is (P3).
//
// Rows have no versions, so tags are zero. What differs between CockroachDB and PostgreSQL is
// confined to migrate.go.
package postgres
