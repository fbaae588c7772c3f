// Package mongodb keeps keys and values in MongoDB. A node with this store holds nothing itself:
// any number of such nodes serve the same data.
//
//	viakv_state  one document: schema version, count of clears, and the key that seals cursors
//	viakv_items  { _id: the key, a string; v: the value, binary }
//
// N1. Every request for one key is one command on one document, which MongoDB makes atomic. Upserts
// and deletes by _id need no transaction.
//
// N2. Writes are acknowledged by a majority, journaled. Reads of one key are linearizable where the
// server is a replica set or a sharded cluster. So they never come from a primary that has been
// replaced without knowing it. The URL's readConcernLevel=majority gives that up for speed. A
// single server without a replica set cannot be stale.
//
// N3. A clear drops viakv_items: one step under the collection's exclusive lock, however many
// documents there are. A write comes before the drop and is gone, or after it and makes the
// collection anew; there is no third case. The count of clears is raised first. So cursors that
// were given out before are refused once the clear has returned, and scans under way notice. Two
// other ways were rejected. deleteMany makes ten million entries in the oplog, with writers in
// between. A new collection per clear, with the count in its name, costs a second round trip per
// request to learn the name, or a lease on it.
//
// N4. A command is re-run only when it certainly changed nothing. After a network error or a change
// of primary the driver itself repeats a write, until the deadline. The repetition has the same
// number, by which the server recognises it. An error that comes after more than one sending says
// nothing about the first, so its outcome is Unknown. A command monitor counts the sendings. When
// there was none, the outcome is None. A drop has no number, so it is sent once.
//
// N5. Keys are BSON strings, which may hold NUL, under the simple collation, which compares UTF-8
// by bytes. Binary ids were rejected: MongoDB orders them by length first, so that a prefix would
// be 256 ranges. A collection with another collation is refused at start.
//
// N6. A batch of sets is an unordered command of upserts, or several for more values than one
// carries. It is no transaction: each value is stored by itself, at a moment of its own. The answer
// names the values that failed, so each has its own outcome, and only those are sent again that
// certainly were not stored. Two upserts of a new key at once are such a case. A value that did not
// fail has outcome Unknown where no majority confirmed the command. A command that ended as a whole
// may have stored some of its values before. So its outcome is Unknown for all of them, unless the
// server says that nothing was written or had refused the user. A repetition by the driver has the
// same number, by which the server recognises each value. One transaction for all was rejected: it
// needs a replica set, fails where another write meets it, and may not run for long.
//
// N7. A batch of gets is a find with $in, or several for more keys than one carries. It carries the
// read concern of a single get. MongoDB promises linearizable reads of filters that match one
// document only. Of more documents it reads each at a moment of its own, and then has a majority
// confirm that the server is still the primary: that is all that a single key needs. One answer has
// all documents, because what a cursor brings later would be confirmed by nobody. A document that
// is none of viakv's concerns its own key alone.
//
// Documents have no versions, so tags are zero. Snapshot scans are refused: MongoDB keeps old
// states for minutes only, and outside a replica set not at all.
package mongodb
