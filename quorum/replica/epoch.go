package replica

import "errors"

// ErrEpoch reports that the epoch of an operation is over. Either this node's store has moved on,
// or a peer knows a newer epoch. The views show the next epoch soon. An operation on one key of one
// store has then done nothing. One on many keys, or at several members, may have done a part.
var ErrEpoch = errors.New("the epoch is over")
