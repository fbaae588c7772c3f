package replica

import "errors"

// ErrEpoch reports that the epoch of an operation is over: here, where the store has moved on, or
// at a peer, which knows a newer one. The views show the next one soon. An operation on one key of
// one store has done nothing; of one on many keys, or at several members, a part may be done.
var ErrEpoch = errors.New("the epoch is over")
