package api

import (
	"bytes"
)

var (
	headerFetchSite = []byte("Sec-Fetch-Site")
	headerOrigin    = []byte("Origin")
)

// checkOrigin refuses a mutation that a browser sends for another site: GET changes state here, and so any page could. Clients
// that are no browsers send neither header. Of another origin of the same site a browser may send no Origin, so that
// Sec-Fetch-Site must say same-origin, or none for an address that the user typed.
//
// The scheme is not compared: a proxy in front may end TLS. A page from a host name that an attacker points at this server passes
// (DNS rebinding); checkHost is the defence against that on loopback, and tokens are elsewhere.
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

// sameSite reports whether an origin's host and port are those that a request is for. The port that
// the origin's scheme implies may be left out on either side.
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

// originAuthority returns the host and port of an origin, nil when it is none, as "null" is.
func originAuthority(origin []byte) []byte {
	scheme, authority, found := bytes.Cut(origin, []byte("://"))
	if !found || len(scheme) == 0 || len(authority) == 0 || bytes.ContainsAny(scheme, ":/?#@ ") || bytes.ContainsAny(authority, "/?#@% ") {
		return nil
	}
	return authority
}
