package replica

import "errors"

// ErrEpoch reports that the epoch of an operation is over: here, where the store has moved on, or
// at a peer, which knows a newer one. Nothing was done. The views show the next one soon.
var ErrEpoch = errors.New("the epoch is over")
