package api

import (
	"bytes"
	"fmt"
	"strings"
)

// checkHost refuses a request for a foreign host name where only the address keeps strangers out:
// on loopback without tokens. The owner of a site can make its name point here (DNS rebinding). A
// browser then takes this server for that site, and nothing but the host name marks the requests of
// the site's pages.
//
// Addresses pass, because such an attack needs a name. So do localhost and all names without a dot:
// nothing beyond the local network assigns such names, and proxies in containers use them. TLS is a
// defence of its own: no authority certifies this server under a stranger's name.
func (x *exchange) checkHost() error {
	s := x.server
	host := authorityOf(&x.ctx.Request.Header)
	if x.defended() || s.ownHost(host) {
		return nil
	}
	s.metrics.deny(deniedHost)
	return refuse(kindMisdirected, fmt.Sprintf("the request is for the host %q: on loopback without tokens only addresses, localhost, names without a dot and those given "+
		"with --hosts are answered, so that no web page can reach this node under a name of its own", host))
}

// defended reports whether something other than the address keeps strangers from the request's
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
	case len(host) == 0: // no browser sends an empty host
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

// localhost is the top-level domain of this machine (RFC 6761).
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

var (
	headerFetchSite = []byte("Sec-Fetch-Site")
	headerOrigin    = []byte("Origin")
)

// checkOrigin refuses a mutation that a browser sends for another site. GET changes state here, so
// any page could send one. Clients that are no browsers send neither header. For another origin of
// the same site a browser may leave Origin out. So Sec-Fetch-Site must be same-origin, or none,
// which stands for an address that the user typed.
//
// The scheme is not compared: a proxy in front may end TLS. A page passes if an attacker made its
// host name point at this server (DNS rebinding). The defence against that is checkHost on
// loopback, and tokens elsewhere.
func (x *exchange) checkOrigin() error {
	header := &x.ctx.Request.Header
	origin := header.PeekCanonical(headerOrigin)
	site := header.PeekCanonical(headerFetchSite)
	if len(origin) == 0 && len(site) == 0 {
		return nil
	}
	for _, allowed := range x.server.config.Origins {
		if bytes.EqualFold(origin, []byte(allowed)) {
			return nil
		}
	}
	if len(origin) > 0 {
		if !sameSite(origin, authorityOf(header)) {
			return refuse(kindCrossSite, "the Origin header names another site than the request is for")
		}
	}
	switch string(site) {
	case "", "same-origin", "none":
		return nil
	}
	return refuse(kindCrossSite, "the browser says that another site sent this (Sec-Fetch-Site)")
}

// sameSite reports whether an origin has the host and port that a request is for. Either side may
// leave out the port that the origin's scheme implies.
func sameSite(origin, authority []byte) bool {
	own := originAuthority(origin)
	if own == nil {
		return false
	}
	implied := []byte("80")
	if len(origin) > 8 && bytes.EqualFold(origin[:8], []byte("https://")) {
		implied = []byte("443")
	}
	host, port := splitPort(own)
	askedHost, askedPort := splitPort(authority)
	if len(port) == 0 {
		port = implied
	}
	if len(askedPort) == 0 {
		askedPort = implied
	}
	return bytes.EqualFold(host, askedHost) && bytes.Equal(port, askedPort)
}

// originAuthority returns the host and port of an origin. It returns nil for what is no origin,
// such as "null".
func originAuthority(origin []byte) []byte {
	scheme, authority, found := bytes.Cut(origin, []byte("://"))
	if !found || len(scheme) == 0 || len(authority) == 0 || bytes.ContainsAny(scheme, ":/?#@ ") || bytes.ContainsAny(authority, "/?#@% ") {
		return nil
	}
	return authority
}
