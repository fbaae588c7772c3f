package topology

import (
	"net"
	"net/netip"
	"strings"

	"viakv/node/transport"
)

// sameAddress reports whether two addresses are written for the same: names differ neither by case
// nor by a dot at the end.
func sameAddress(a, b transport.Address) bool { return a == b || canonical(a) == canonical(b) }

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
