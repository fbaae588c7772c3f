package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// ErrRemote says that the target is another machine and that the user has not allowed that.
var ErrRemote = errors.New("load on another machine needs --allow-remote")

// Loopback returns an error for a target whose name leads to another machine, because load that a
// typing error sends to the wrong host is an attack on that host. The target is a URL or host:port.
func Loopback(ctx context.Context, target string) error {
	host := target
	if strings.Contains(target, "://") {
		u, err := url.Parse(target)
		if err != nil {
			return fmt.Errorf("target %q: %w", target, err)
		}
		host = u.Host
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	addresses, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return fmt.Errorf("target %q: %w", target, err)
	}
	for _, a := range addresses {
		if !a.IP.IsLoopback() {
			return fmt.Errorf("target %q is %s, not this machine: %w; make sure that you may load it", target, a.IP, ErrRemote)
		}
	}
	return nil
}
