// Package wire is the byte format of what nodes say to each other. It knows nothing of connections and nothing of what
// the messages are for.
//
//	request = op (1) | cluster (8, little-endian) | epoch | to | from | body
//	reply   = status (1) | counter | epoch | body
//
// Integers without a size are uvarints; byte strings are their length as uvarint, then the bytes. Control messages (control.go) have a
// header of their own.
//
// Invariants:
//
//	W1. Codes are append-only: one that was given out is never given another meaning, and zero is invalid.
//	W2. Decoders borrow: what they return points into the input.
//	W3. Decoders check every limit before they allocate, and accept nothing that an encoder would not have written: no
//	    rest behind the message, no count beyond the input's length.
//	W4. Encoders append to what they are given and do not allocate beyond its growth.
package wire
