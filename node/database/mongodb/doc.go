// Package mongodb keeps keys and values in MongoDB. A node with this store holds nothing itself: any number of them serve the same data.
//
//	viakv_state  one document: the schema's version, the count of clears, and the key that seals cursors
//	viakv_items  { _id: the key, a string; v: the value, binary }
//
// N1. Every request is one command on one document, which MongoDB makes atomic; upserts and deletes by _id need no transaction.
//
// N2. Writes are acknowledged by a majority, journaled. Reads of one key are linearizable where the server is a replica set or a
// sharded cluster, and so never come from a primary that has lost its office without knowing; the URL's
// readConcernLevel=majority trades that for speed. A single server without a replica set has nothing to be stale against.
//
// N3. A clear drops viakv_items: one step under the collection's exclusive lock, however many documents there are. A write is
// before it, and gone, or after it, and makes the collection anew; there is no between. The count of clears is raised first: cursors given out
// before are refused once the clear has returned, and scans under way notice. Rejected: deleteMany (ten million
// entries in the oplog, and writers in between); a new collection per clear with the count in its name (a second
// round trip per request to learn the name, or a lease on it).
//
// N4. A command is re-run only when it certainly changed nothing. The driver itself repeats a write after a network error or a change of
// primary, until the deadline, under a number by which the server knows it again; an error that comes after more than one sending says
// nothing about the first, so its outcome is Unknown. Sendings are counted by a command monitor; none: the outcome is None. A drop has no
// number, so it is sent once.
//
// N5. Keys are BSON strings, which may hold NUL, under the simple collation, which compares UTF-8 by bytes. Rejected: binary ids, which MongoDB
// orders by length first, so that a prefix would be 256 ranges. A collection with another collation is refused at start.
//
// Versions: a document has none, so tags are zero. Snapshot scans are refused: MongoDB keeps old states for minutes only, and
// not at all outside a replica set.
package mongodb
