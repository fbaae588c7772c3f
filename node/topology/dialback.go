package topology

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/node/transport"
	"viakv/node/wire"
)

// examine looks at a process that wants to enter, before anything is changed for it. It finds out
// whether this node, the leader, reaches the process at the address that it advertises. It also
// finds out whether the member that has the same name is still there, and returns its boot ID when
// it is gone, as lookFor does.
func (m *Manager) examine(ctx context.Context, node *Identity) (gone uint64, err error) {
	if m.newest().includes(node.BootID) {
		return 0, nil
	}
	p, err := m.reach(ctx, *node)
	fault := addressFault(*node, p, err)
	if fault == "" || p.Name == node.Name { // the live node of that name may be what answers
		if gone, err = m.lookFor(ctx, node); fault == "" || err != nil {
			return gone, err
		}
	}
	return 0, kv.Detail(kv.ErrNodeUnreachable, "seen from %s, the leader, %s", m.self.Name, fault)
}

// addressFault says why a process cannot be met at the address that it advertises, or returns ""
// when it can be met. The caller passes what a call to that address returned: found or err.
func addressFault(id Identity, found presence, err error) string {
	switch {
	case err != nil:
		return fmt.Sprintf("%s, which %s advertises, cannot be reached: %s", id.Peer, id.Name, cause(err))
	case found.BootID != id.BootID:
		return fmt.Sprintf("%s answers at %s, which %s advertises", found.describe(id), id.Peer, id.Name)
	}
	return ""
}

// reach returns the process that answers at the address that id advertises. It waits for half of
// callTimeout at most, so that its own caller hears the result in time.
func (m *Manager) reach(ctx context.Context, id Identity) (presence, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout/2)
	defer cancel()
	for why := error(nil); ; {
		p, err := m.identify(ctx, id)
		if err == nil {
			if p.BootID != id.BootID {
				m.redial(id, p)
			}
			return p, nil
		}
		if ctx.Err() == nil || why == nil || lost(why) { // an attempt that is cut short tells nothing
			why = err
		}
		// The transport sends nothing while it rests after the end of the process that was there
		// before. And a redial for another process closes the connection. Both are worth another
		// try.
		if !lost(err) && !errors.Is(err, transport.ErrNotSent) || !sleep.For(ctx, every/4) {
			return presence{}, why
		}
	}
}

// identify asks which process is at the address of id. A connection that ends says nothing about
// the process, since redial closes it for another call: identify then asks once more.
func (m *Manager) identify(ctx context.Context, id Identity) (presence, error) {
	p, err := m.discover(ctx, id.Peer, id.BootID)
	if lost(err) {
		p, err = m.discover(ctx, id.Peer, id.BootID)
	}
	return p, err
}

// lost reports whether a call has no reply because its connection has ended.
func lost(err error) bool {
	return errors.Is(err, transport.ErrBroken) || errors.Is(err, transport.ErrClosed)
}

// describe names a process that answers where another one should.
func (p *presence) describe(expected Identity) string {
	switch p.Name {
	case "":
		return "another node"
	case expected.Name:
		return "another process named " + p.Name
	}
	return p.Name
}

// redial closes the connection to the address of a process when another one answers there. The next
// call then looks the name up again. A connection that is right for some member stays.
func (m *Manager) redial(id Identity, found presence) {
	if sameAddress(found.Peer, id.Peer) {
		return
	}
	if t := m.newest(); t != nil && slices.ContainsFunc(t.recipients(), func(o Identity) bool { return o.Peer == id.Peer && o.Name != id.Name }) {
		return
	}
	m.cfg.Transport.Forget(id.Peer)
}

// noteMisdirected notes that a member's address leads to another node, and closes the connection
// there.
func (m *Manager) noteMisdirected(to Identity, r *wire.ControlReply) {
	var p presence
	if r.Status != wire.ControlWrongBootID || decodeBody(r.Body, &p) != nil || p.Name == "" || p.Name == to.Name {
		return
	}
	if m.misdirected.due(addressFault(to, p, nil)) {
		m.log.Warn("another node answers at a member's address", zap.String("member", to.Name), zap.String("address", string(to.Peer)), zap.String("answers", p.Name))
		m.redial(to, p)
	}
}

// cause says in a few words why a peer could not be asked.
func cause(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return "no answer in time"
	}
	if lookUp, ok := errors.AsType[*net.DNSError](err); ok {
		return lookUp.Err
	}
	for {
		inner := errors.Unwrap(err)
		if several, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // one level after the other
			all := several.Unwrap()
			inner = all[len(all)-1]
		}
		if inner == nil {
			break
		}
		err = inner
	}
	text := err.Error()
	for _, prefix := range []string{"transport: ", "tcp: ", "topology: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// detail returns what an error adds to the kind of error that it is.
func detail(err error) string {
	if d, ok := errors.AsType[*kv.DetailError](err); ok {
		return d.Detail
	}
	return err.Error()
}
