// Package stateless holds what every store on a database needs, whichever database it is. That is
// sealed cursors, cached readiness, the waits between attempts, the removal of credentials from
// texts, and the control side of a node that is no member of a mesh.
//
// O1. A cursor is accepted only by a store that holds the key with which the cursor was sealed. The
// key lives in the database. So every node on the same database accepts the cursors of the others,
// and a node on another database accepts none of them.
//
// O2. Readiness costs the database one statement or two per node and interval, however many callers
// ask.
//
// O3. No text that leaves these packages holds a credential, whatever the driver has written into
// its errors.
package stateless
