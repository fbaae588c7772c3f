// Package mongotest tests the MongoDB store on a server: FerretDB with SQLite behind it, in the
// test's own process. It is a module of its own, so that building viakv does not fetch a database.
//
// FerretDB differs from MongoDB in four ways. It has no replica set. So linearizable and majority
// reads, majority writes, elections and repeated writes are tested on a stand-in beside the store
// instead. It sorts all documents in memory for every page, so the cost of a scan is quadratic,
// unlike on MongoDB. It has no roles, and refuses every password. It cannot take many updates in
// one command, so its batches are sent in small parts. VIAKV_MONGODB_URL
// (mongodb://user:password@host:port, without a database) names another server to run the same
// tests on.
package mongotest
