package discovery

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"viakv/api/kv"
)

// resource is the name of the list of endpoints where a request names none.
const resource = "viakv"

// Config holds the settings of a Service.
type Config struct {
	// Status describes the cluster. It must not block. Required.
	Status func() kv.Status
	// Ready returns nil when this node serves, and otherwise the reason why not. It must not block.
	// Required.
	Ready func(context.Context) error
}

// Service answers Envoy. It is safe for concurrent use.
type Service struct {
	config    Config
	addresses *addresses
}

// New returns a service. It starts nothing.
func New(c Config) *Service { return &Service{config: c, addresses: newAddresses()} }

// endpoint is a member that takes traffic.
type endpoint struct {
	member string
	at     netip.AddrPort
}

// view is what a node knows of its cluster at one moment.
type view struct {
	cluster   string
	epoch     uint64
	endpoints []endpoint // sorted by member
}

// view returns the members with their addresses. It blocks while an address is looked up. The error
// says why this node cannot answer.
func (s *Service) view(ctx context.Context) (view, error) {
	if err := s.config.Ready(ctx); err != nil {
		return view{}, err // E2
	}
	status := s.config.Status()
	if status.Mode != "mesh" {
		return view{}, errors.New("nodes on a database do not know one another: list them in Envoy's configuration by their name")
	}
	v := view{cluster: status.Cluster, epoch: uint64(status.Epoch)}
	var lost []error
	for i := range status.Members {
		m := &status.Members[i]
		if m.State != "active" {
			continue // E1
		}
		at, err := s.resolve(ctx, m.HTTP)
		if err != nil {
			lost = append(lost, fmt.Errorf("%s: %w", m.Name, err))
			continue
		}
		v.endpoints = append(v.endpoints, endpoint{member: m.Name, at: at})
	}
	if len(v.endpoints) == 0 {
		return view{}, fmt.Errorf("no member has an address that resolves; check --advertise-http: %w", errors.Join(lost...))
	}
	slices.SortFunc(v.endpoints, func(a, b endpoint) int { return strings.Compare(a.member, b.member) })
	return v, nil
}

func (s *Service) resolve(ctx context.Context, address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: want HOST:PORT", address)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q: want a port number", address)
	}
	ip, err := s.addresses.of(ctx, host)
	return netip.AddrPortFrom(ip, uint16(n)), err
}

// version returns the view's version. Equal versions list the same endpoints. The epoch in it
// orders the versions of one cluster.
func (v *view) version() string {
	h := fnv.New64a()
	for _, e := range v.endpoints {
		fmt.Fprintf(h, "%q %s\n", e.member, e.at)
	}
	return fmt.Sprintf("%s/%d/%016x", v.cluster, v.epoch, h.Sum64())
}

// shouldReplace reports whether a proxy that holds this version should get this view (E3). A
// version of another cluster, or one that no viakv node made, tells nothing; such a proxy gets the
// view.
func (v *view) shouldReplace(version string) bool {
	if version == v.version() {
		return false
	}
	parts := strings.Split(version, "/")
	if len(parts) != 3 || parts[0] != v.cluster {
		return true
	}
	held, err := strconv.ParseUint(parts[1], 10, 64)
	return err != nil || held <= v.epoch
}
