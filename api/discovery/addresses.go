package discovery

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// lookupTime bounds one question to the name server. Envoy waits two seconds for the whole answer.
const lookupTime = time.Second

// refreshTime is how long a resolved address is used. A shorter time would notice a moved node
// sooner and ask the name server more often.
const refreshTime = 3 * time.Second

// maxNames bounds the memory. Beyond it, the name that was asked for longest ago is dropped, as of
// a member that is long gone.
const maxNames = 256

// addresses keeps what host names resolve to (E4). It is safe for concurrent use. No lock is held
// while the name server is asked.
type addresses struct {
	lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	refresh time.Duration

	mu    sync.Mutex
	known map[string]resolved
}

// resolved is what a name last resolved to.
type resolved struct {
	ip    netip.Addr // invalid: the name has not resolved yet
	asked time.Time
}

func newAddresses() *addresses {
	lookup := func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	return &addresses{lookup: lookup, refresh: refreshTime, known: map[string]resolved{}}
}

// of returns a host's address. A caller that finds it too old asks the name server; other callers
// use the old address meanwhile. As long as no address is known, every caller asks.
func (a *addresses) of(ctx context.Context, host string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap(), nil
	}
	now := time.Now()
	a.mu.Lock()
	last := a.known[host]
	if last.ip.IsValid() && now.Sub(last.asked) < a.refresh {
		a.mu.Unlock()
		return last.ip, nil
	}
	a.keepLocked(host, resolved{ip: last.ip, asked: now})
	a.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := a.lookup(ctx, host)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("lookup %s: no address", host)
	}
	if err != nil {
		if last.ip.IsValid() {
			return last.ip, nil
		}
		return netip.Addr{}, err
	}
	ip := choose(found, last.ip)
	a.mu.Lock()
	a.keepLocked(host, resolved{ip: ip, asked: now})
	a.mu.Unlock()
	return ip, nil
}

// keepLocked stores an entry and makes room for it when there are too many. The caller holds a.mu.
func (a *addresses) keepLocked(host string, r resolved) {
	if _, ok := a.known[host]; !ok && len(a.known) >= maxNames {
		oldest := ""
		for name, k := range a.known {
			if oldest == "" || k.asked.Before(a.known[oldest].asked) {
				oldest = name
			}
		}
		delete(a.known, oldest)
	}
	a.known[host] = r
}

// choose returns the address that was used before if it is still there, so that the order of a name
// server's answers moves no connection. Otherwise it returns the lowest address, and IPv4 before
// IPv6, because nodes listen on IPv4 by default.
func choose(found []netip.Addr, before netip.Addr) netip.Addr {
	found = slices.Clone(found)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	if slices.Contains(found, before) {
		return before
	}
	return slices.MinFunc(found, netip.Addr.Compare)
}
