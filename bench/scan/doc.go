// Package scan reads a whole store and checks what it got.
//
// S1. A scan is complete only when the client says so (client, L3) and every key that must be there was seen once, with a
// value that the key space gives for it.
package scan
