package topology

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"viakv/node/transport"
)

const (
	// lookAgain is how long the answer of a look-up is used.
	lookAgain = 500 * time.Millisecond
	// listedFor is how long an address counts after a look-up has listed it. Some name servers list
	// part of the addresses at a time: within that time they show all of them. An address that is
	// given up delays a founding for that long.
	listedFor = 30 * time.Second
)

// addressBook looks names up and remembers their addresses. It belongs to one goroutine.
type addressBook struct {
	lookUp  func(context.Context, string) ([]netip.Addr, error) // Config.Resolve
	names   map[string]*listing                                 // by host name
	dialled map[transport.Address]bool                          // addresses whose connections hangUp closes
}

// listing is what the look-ups of one name have returned.
type listing struct {
	asked  time.Time
	err    error                    // of the look-up at asked
	listed map[netip.Addr]time.Time // when an address was last listed
	grown  time.Time                // when an address was last added
}

// place is one address that a seed leads to.
type place struct {
	dial transport.Address
	ip   netip.Addr // address that dial leads to; invalid: not looked up
}

func newAddressBook(lookUp func(context.Context, string) ([]netip.Addr, error)) *addressBook {
	return &addressBook{lookUp: lookUp, names: map[string]*listing{}, dialled: map[transport.Address]bool{}}
}

// refresh looks up the names in the addresses, all at once. It skips names that were looked up
// within lookAgain.
func (b *addressBook) refresh(ctx context.Context, addresses ...transport.Address) {
	if b.lookUp == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	type answer struct {
		found []netip.Addr
		err   error
	}
	var asking sync.WaitGroup
	answers := map[string]*answer{}
	for _, a := range addresses {
		host, _, err := net.SplitHostPort(string(a))
		if n := b.names[host]; err != nil || fixed(host) || answers[host] != nil || n != nil && time.Since(n.asked) < lookAgain {
			continue
		}
		r := new(answer)
		answers[host] = r
		asking.Go(func() { r.found, r.err = b.lookUp(ctx, host) })
	}
	asking.Wait()
	now := time.Now()
	for host, r := range answers {
		n := b.names[host]
		if n == nil {
			n = &listing{listed: map[netip.Addr]time.Time{}, grown: now}
			b.names[host] = n
		}
		n.note(now, r.found, r.err)
	}
}

// note records the answer of a look-up.
func (n *listing) note(now time.Time, found []netip.Addr, err error) {
	n.asked, n.err = now, err
	for _, ip := range found {
		ip = ip.Unmap()
		if n.listed[ip].IsZero() {
			n.grown = now
		}
		n.listed[ip] = now
	}
	maps.DeleteFunc(n.listed, func(_ netip.Addr, at time.Time) bool { return now.Sub(at) > listedFor })
}

// places returns where an address leads: a name with several addresses to each of them, any other
// address to itself. The error is that of the name's last look-up. With remembered, places also
// returns what earlier look-ups have listed.
func (b *addressBook) places(a transport.Address, remembered bool) ([]place, error) {
	host, port, err := net.SplitHostPort(string(a))
	if err != nil || b.lookUp == nil || fixed(host) {
		ip, _ := netip.ParseAddr(host)
		return []place{{dial: a, ip: ip.Unmap()}}, nil
	}
	n := b.names[host]
	var out []place
	for _, ip := range slices.SortedFunc(maps.Keys(n.listed), netip.Addr.Compare) {
		if remembered || n.listed[ip].Equal(n.asked) {
			out = append(out, place{dial: transport.Address(net.JoinHostPort(ip.String(), port)), ip: ip})
		}
	}
	if len(out) == 1 {
		out[0].dial = a
	}
	if len(out) == 0 && n.err == nil {
		return nil, errNoAddress
	}
	return out, n.err
}

// grown returns when an address of the name was last added.
func (b *addressBook) grown(a transport.Address) time.Time {
	host, _, _ := net.SplitHostPort(string(a))
	if n := b.names[host]; n != nil {
		return n.grown
	}
	return time.Time{}
}

// fixed reports whether a host stands for one machine without a look-up.
func fixed(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}

// errNoAddress means that the look-up of a name lists no address.
var errNoAddress = errors.New("the name has no address")

// sameAddress reports whether two addresses mean the same place. Case and a dot at the end make no
// difference in a name.
func sameAddress(a, b transport.Address) bool { return a == b || canonical(a) == canonical(b) }

// canonical returns the one spelling of an address that sameAddress compares.
func canonical(a transport.Address) string {
	host, port, err := net.SplitHostPort(string(a))
	if err != nil {
		return string(a)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(ip.Unmap().String(), port)
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, ".")), port)
}
