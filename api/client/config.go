package client

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"viakv/api/kv"
)

// Config holds the settings of a Client. Endpoints is required; the zero value of every other field
// is usable.
type Config struct {
	// Endpoints are the nodes, or balancers in front of them: http://host:port, https://host:port,
	// or host:port for http. The first is used until it fails, then the next.
	Endpoints []string
	// Token is sent as a bearer token. Empty: none.
	Token string
	// TLS is used for https endpoints. Nil: the system's authorities, no client certificate.
	TLS *tls.Config

	// Timeout bounds one data request with all its attempts, and each request of SetMany. Zero: 5
	// s. It should be longer than the server's own, so that the server can say what happened.
	Timeout time.Duration
	// ControlTimeout bounds a clear, a join or a leave. Zero: 3 min.
	ControlTimeout time.Duration
	// DialTimeout bounds the opening of one connection, and its TLS handshake likewise. Zero: 2 s.
	DialTimeout time.Duration
	// MaxIdle is how many idle connections are kept for each endpoint. Zero: 64. More connections
	// than that may be open while requests are in flight.
	MaxIdle int
	// IdleTimeout is how long a kept connection may be idle and still be used again. Zero: 30 s. It
	// should be shorter than the server's.
	IdleTimeout time.Duration
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.ControlTimeout = cmp.Or(c.ControlTimeout, 3*time.Minute)
	c.DialTimeout = cmp.Or(c.DialTimeout, 2*time.Second)
	c.MaxIdle = cmp.Or(c.MaxIdle, 64)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 30*time.Second)
	return c
}

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var faults []error
	if len(c.Endpoints) == 0 {
		faults = append(faults, errors.New("client: Endpoints is empty: name at least one, for example http://127.0.0.1:8080"))
	}
	for _, e := range c.Endpoints {
		if _, _, err := parseEndpoint(e); err != nil {
			faults = append(faults, err)
		}
	}
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		faults = append(faults, errors.New("client: Token holds a character that a header cannot"))
	}
	for name, d := range map[string]time.Duration{
		"Timeout": c.Timeout, "ControlTimeout": c.ControlTimeout, "DialTimeout": c.DialTimeout, "IdleTimeout": c.IdleTimeout,
	} {
		if d < 0 {
			faults = append(faults, fmt.Errorf("client: %s is %s: give a positive duration, or zero for the default", name, d))
		}
	}
	if c.MaxIdle < 0 {
		faults = append(faults, fmt.Errorf("client: MaxIdle is %d: give a positive number, or zero for the default", c.MaxIdle))
	}
	return errors.Join(faults...)
}

// Options are those of single requests; see Client.With.
type Options struct {
	// R and W are how many replicas a read asks and how many a write waits for. kv.QuorumDefault:
	// what the cluster is configured to.
	R, W kv.Quorum
}

// parseEndpoint returns the address to dial and whether to speak TLS.
func parseEndpoint(s string) (address string, secure bool, err error) {
	full := s
	if !strings.Contains(s, "://") {
		full = "http://" + s
	}
	u, err := url.Parse(full)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("client: endpoint %q: %w", s, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", false, fmt.Errorf("client: endpoint %q: begin it with http:// or https://", s)
	case strings.ContainsAny(u.Hostname(), "[]"):
		return "", false, fmt.Errorf("client: endpoint %q: write an IPv6 address as [::1]:8080", s)
	case u.Hostname() == "":
		return "", false, fmt.Errorf("client: endpoint %q: the host is missing", s)
	case u.User != nil, u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		return "", false, fmt.Errorf("client: endpoint %q: give scheme, host and port only", s)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port), u.Scheme == "https", nil
}
