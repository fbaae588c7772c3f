// Package wire defines the byte format of the messages between nodes. It knows nothing of
// connections, and nothing of what the messages are for.
//
//	request = op (1) | cluster (8, little-endian) | epoch | to | from | body
//	reply   = status (1) | counter | epoch | body
//
// Integers without a size are uvarints. A byte string is its length as uvarint, then the bytes.
// Control messages (control.go) have a header of their own.
//
// Invariants:
//
//	W1. Codes are append-only: a code never gets a second meaning, and zero is invalid.
//	W2. Decoders borrow: what they return points into the input.
//	W3. Decoders check every limit before they allocate, and accept nothing that an encoder would
//	    not have written: no rest behind the message, no count beyond the input's length.
//	W4. Encoders append to what they are given and do not allocate beyond its growth.
package wire
