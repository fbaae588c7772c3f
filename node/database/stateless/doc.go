// Package stateless holds what every store on a database needs, whichever database it is: sealed cursors, cached readiness,
// waiting between attempts, keeping credentials out of texts, and the control side of a node that is no member of a mesh.
//
// L1. A cursor is accepted only by a store that holds the key it was sealed with, and the key lives in the database: every
// node on the same database takes the others' cursors, and a node on another database takes none.
//
// L2. Readiness costs the database one statement per node and interval, however many ask.
//
// L3. No text that leaves these packages holds a credential, whatever the driver wrote into its errors.
package stateless
