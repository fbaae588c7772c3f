package serve

import (
	"fmt"
	"net"
	"os"
	"strings"

	"viakv/cmd/cliutil"
	"viakv/node/transport"
)

// advertised returns the address that other nodes and clients are told to dial. That is the
// configured one, or else the address of the listener. An unspecified host is replaced by the
// machine's name.
func advertised(configured string, listening net.Addr) (string, error) {
	if configured != "" {
		return configured, nil
	}
	host, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return "", err
	}
	if net.ParseIP(host).IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return "", fmt.Errorf("no name of this machine to tell the other nodes: %w; use --advertise-http and --advertise-peer", err)
		}
	}
	return net.JoinHostPort(host, port), nil
}

// addressList parses values of the form HOST:PORT.
func addressList(flag string, values []string) ([]transport.Address, error) {
	var out []transport.Address
	for _, v := range values {
		v = strings.TrimSpace(v)
		if v == "" {
			continue
		}
		if err := checkDialable(flag, v); err != nil {
			return nil, err
		}
		out = append(out, transport.Address(v))
	}
	return out, nil
}

// checkDialable refuses an address that can only be listened on. A wildcard would lead each node to
// itself.
func checkDialable(flag, v string) error {
	if err := cliutil.CheckAddress(flag, v); err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(v)
	if host == "" || net.ParseIP(host).IsUnspecified() || port == "0" {
		return cliutil.Usagef("%s %q: want the name or IP address, and the port, at which others reach the node", flag, v)
	}
	return nil
}

// viaTable parses ADVERTISED=DIAL pairs.
func viaTable(values []string) (map[transport.Address]transport.Address, error) {
	out := map[transport.Address]transport.Address{}
	for _, v := range values {
		from, to, ok := strings.Cut(v, "=")
		if !ok {
			return nil, cliutil.Usagef("--peer-via %q: want ADVERTISED=DIAL", v)
		}
		out[transport.Address(from)] = transport.Address(to)
	}
	return out, nil
}
