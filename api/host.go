package api

import (
	"bytes"
	"fmt"
	"strings"
)

// checkHost refuses a request that was made under a foreign name, where the address alone keeps strangers out: on loopback without tokens.
// A page of somebody's own site could have its name point here (DNS rebinding), and a browser then takes this server for that site: its
// requests have no other mark than the name that they are for.
//
// Addresses pass, because a name is what such a page needs. So do localhost and all names without a dot: nobody beyond the local network gives those
// out, and proxies in containers go by them. TLS is a defence of its own: no authority certifies this server under a stranger's name.
func (x *exchange) checkHost() error {
	s := x.server
	host := authorityOf(&x.ctx.Request.Header)
	if x.defended() || s.ownHost(host) {
		return nil
	}
	s.metrics.deny("host")
	return refuse(kindMisdirected, fmt.Sprintf("the request is for the host %q: on loopback without tokens only addresses, localhost, names without a dot and those given "+
		"with --hosts are answered, so that no web page can reach this node under a name of its own", host))
}

// defended reports whether something else than the address keeps strangers from the request's
// listener.
func (x *exchange) defended() bool {
	s := x.server
	if x.endpoint.admin {
		return s.adminExposed.Load() || s.tokens != nil
	}
	return s.exposed.Load() || s.tokens != nil || s.tls != nil
}

// ownHost reports whether the authority of a request names this server.
func (s *Server) ownHost(authority []byte) bool {
	host, _ := splitPort(authority)
	host = bytes.TrimSuffix(host, []byte("."))
	switch dot := bytes.LastIndexByte(host, '.'); {
	case len(host) == 0: // no browser
		return true
	case host[0] == '[', dot < 0:
		return true
	case bytes.EqualFold(host[dot+1:], localhost):
		return true
	case numeric(host[dot+1:]): // an IPv4 address: no top-level domain is a number
		return true
	}
	for _, own := range s.config.Hosts {
		if own == "*" || bytes.EqualFold(host, []byte(own)) {
			return true
		}
	}
	return false
}

var localhost = []byte("localhost")

func numeric(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// validHost reports whether a configured host is a bare name, or "*" for any.
func validHost(host string) bool {
	return host != "" && !strings.ContainsAny(host, "/:@ ")
}
