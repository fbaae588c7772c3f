package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/netip"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/api/listen"
	"viakv/node"
	"viakv/node/transport"
	"viakv/node/transport/tcp"
	"viakv/quorum/lease"
)

// newNode makes a node of the mesh.
func (s *Server) newNode() (backend, error) {
	peer, err := listenFor("peer", s.cfg.peer)
	if err != nil {
		return nil, err
	}
	n, err := s.newNodeAt(peer)
	if err != nil {
		return nil, errors.Join(err, peer.Close())
	}
	return n, nil
}

func (s *Server) newNodeAt(peer net.Listener) (backend, error) {
	c := s.cfg
	seeds, err := addressList("--seeds", c.seeds)
	if err != nil {
		return nil, err
	}
	via, err := viaTable(c.via)
	if err != nil {
		return nil, err
	}
	peerAddress, err := advertised(c.advertisePeer, peer.Addr())
	if err != nil {
		return nil, err
	}
	httpAddress, err := advertised(c.advertiseHTTP, s.http.Addr())
	if err != nil {
		return nil, err
	}
	var secure func() (*tls.Config, error)
	if c.peerCert != "" {
		if secure, err = tcp.Credentials(c.peerCert, c.peerKey, c.peerCA, s.log); err != nil {
			return nil, err
		}
	}
	s.peer = listen.Wrap(peer, "peer", s.log)
	return node.New(node.Config{
		Name: c.name, HTTP: httpAddress, Peer: transport.Address(peerAddress), Seeds: seeds, Expect: c.expect,
		Addresses: machineAddresses,
		Resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		ReadQuorum: kv.Quorum(c.readQuorum), WriteQuorum: kv.Quorum(c.writeQuorum), AllowWeak: c.allowWeak,
		Reads: kv.Reads(c.reads), Lease: c.lease,
		MaxBytes: int64(c.maxMemory), HugePages: c.hugePages, Timeout: c.timeout, HedgeAfter: c.hedge, Logger: s.log,
		// The node calls it while it runs, and s.api is set before that.
		Figures: func() kv.Figures { return s.api.Figures() }, Clock: lease.Machine(), Marker: disruptions(s.log),
		NewTransport: func(h transport.Handler) (transport.Transport, error) {
			t, err := tcp.New(tcp.Config{
				Listener: s.peer, Handler: h, Name: c.name, Address: transport.Address(peerAddress),
				TLS: secure, Via: via, MaxGreeting: c.maxStrangers, Logger: s.log,
			})
			s.peers = t
			return t, err
		},
	})
}

// disruptions returns what tells of moves and restorations of this machine, or nil when nothing
// does.
func disruptions(log *zap.Logger) lease.Marker {
	marker, err := lease.Disruptions()
	switch {
	case errors.Is(err, fs.ErrNotExist): // no virtual machine, or its hypervisor tells nothing
	case err != nil:
		log.Warn("the hypervisor tells when it moves or restores this machine, but the node cannot read it: give it read access to /dev/vmclock0", zap.Error(err))
	default:
		log.Info("the node asks for its leases anew when the hypervisor says that it has moved or restored this machine")
	}
	return marker
}

// machineAddresses returns the addresses of this machine's interfaces, or none when the system does
// not tell them.
func machineAddresses() (out []netip.Addr) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, prefix.Addr().Unmap())
		}
	}
	return out
}
