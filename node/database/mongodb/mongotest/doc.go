// Package mongotest tries the MongoDB store on a server: FerretDB with SQLite behind it, in the test's own process. It is a module of its own, because
// nobody who builds viakv should have to fetch a database.
//
// What FerretDB is not: it has no replica set, so linearizable and majority reads, majority writes, elections and repeated
// writes are not tried here, but on a stand-in beside the store; it sorts every page in memory, so a scan costs the square of what MongoDB
// asks for; it has no roles, and refuses every password. VIAKV_MONGODB_URL (mongodb://user:password@host:port, without a database) names
// another server to run the same tests on.
package mongotest
