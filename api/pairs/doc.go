// Package pairs reads pairs of keys and values from a stream, in the two formats in which the API
// writes them: lines of JSON, and one JSON object.
//
// P1. A pair that is read can be stored: key and value are UTF-8 and within the limits of api/kv.
//
// P2. Nothing is guessed. Text that is not UTF-8, half a surrogate pair, a name that counts and
// comes twice in a line, and all that is no JSON are errors. There encoding/json may replace or
// choose.
//
// P3. The memory of a reader does not depend on what it reads. It holds one buffer.
//
// P4. An error that is an *Error means that the content is at fault. Any other error is one of the
// stream, which may have been cut: it says nothing about the content.
package pairs
