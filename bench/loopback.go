package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// ErrRemote says that the target is not this machine, and nobody has said that this is meant.
var ErrRemote = errors.New("load on another machine needs --allow-remote")

// Loopback refuses a target whose name leads to another machine: load that is aimed at the wrong host by a typing error is an
// attack on it. The target is a URL or host:port.
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
