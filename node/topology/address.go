package topology

import (
	"net"
	"net/netip"
	"strings"

	"viakv/node/transport"
)

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
