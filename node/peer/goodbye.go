package peer

import (
	"context"
	"time"

	"viakv/node/wire"
	"viakv/quorum/version"
)

// goodbyeTime bounds how long SayGoodbye waits for the other members.
const goodbyeTime = 500 * time.Millisecond

// SayGoodbye tells the other members that this node is about to stop, so that they ask other
// members first. It returns when every active member has answered or failed, and at the latest
// after goodbyeTime or at the end of ctx.
func (e *Epoch) SayGoodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, goodbyeTime)
	defer cancel()
	e.Each(func(m int) {
		to := e.View.Members[m].Incarnation
		if m == e.View.Self || to == 0 {
			return
		}
		_, _ = e.ask(ctx, m, wire.AppendRequest(nil, wire.Goodbye, e.stamp(to)))
	})
}

// serveGoodbye notes that another member is about to stop. The epochs of the two nodes do not
// matter: an incarnation stops for all epochs.
func (e *Epoch) serveGoodbye(dst []byte, from version.Incarnation, body []byte) []byte {
	status := wire.OK
	if len(body) != 0 {
		status = wire.Malformed
	} else if k := e.linkTo(from); k != nil {
		k.leaving.Store(uint64(from))
	}
	return e.reply(dst, status)
}
