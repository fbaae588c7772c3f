package api

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

var schemeEnd = []byte("://")

// splitTarget cuts a request's target (RFC 9112 §3.2) into scheme, authority, and path with query.
// Only a target in absolute form has the first two.
func splitTarget(target []byte) (scheme, authority, path []byte) {
	if len(target) == 0 || target[0] == '/' {
		return nil, nil, target
	}
	scheme, rest, found := bytes.Cut(target, schemeEnd)
	if !found {
		return nil, nil, target
	}
	if end := bytes.IndexAny(rest, "/?#"); end >= 0 {
		return scheme, rest[:end], rest[end:]
	}
	return scheme, rest, nil
}

// authorityOf returns the host and port that a request is for. If the target has an authority
// itself, the Host header does not count (RFC 9112 §3.2.2). Headers of proxies, like
// X-Forwarded-Host, are never looked at: any client can send them.
func authorityOf(h *fasthttp.RequestHeader) []byte {
	if scheme, authority, _ := splitTarget(h.RequestURI()); scheme != nil {
		return authority
	}
	return h.Host()
}

// targetFault returns what is wrong with a request's target, or with the host that it is for, and
// an empty string for nothing. The Host header must be valid even where it does not count.
func targetFault(h *fasthttp.RequestHeader) string {
	scheme, authority, path := splitTarget(h.RequestURI())
	// A missing Host header is a fault only in HTTP/1.1, and fasthttp has refused that already.
	if host := h.Host(); len(host) > 0 && !validAuthority(host) {
		return "the Host header is not a host, or a host and a port"
	}
	if scheme != nil {
		if !bytes.EqualFold(scheme, []byte("http")) && !bytes.EqualFold(scheme, []byte("https")) {
			return "the target's scheme is not http or https"
		}
		if !validAuthority(authority) {
			return "the target's authority is not a host, or a host and a port"
		}
	}
	if i := bytes.IndexAny(path, "?#"); i >= 0 && path[i] == '#' {
		return "the target has a fragment"
	}
	return ""
}

// validAuthority reports whether b is a host name or an address, and perhaps a port. Names consist
// of letters, digits, hyphens, underscores and dots, since no others are looked up. Attackers put
// user information and percent-encoding there. fasthttp has checked the content of brackets where
// it counts.
func validAuthority(b []byte) bool {
	host, port := splitPort(b)
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
	}
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		for _, c := range host[1 : len(host)-1] {
			if !hostByte[c] && c != ':' && c != '%' { // a percent sign begins a zone
				return false
			}
		}
		return true
	}
	for _, c := range host {
		if !hostByte[c] {
			return false
		}
	}
	return len(host) > 0 && host[0] != '.'
}

// splitPort cuts the port off an authority. The port is empty when there is none.
func splitPort(authority []byte) (host, port []byte) {
	if i := bytes.LastIndexByte(authority, ':'); i >= 0 && bytes.IndexByte(authority[i:], ']') < 0 {
		return authority[:i], authority[i+1:]
	}
	return authority, nil
}

// hostByte is true for the bytes that host names consist of.
var hostByte = func() (table [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") {
		table[c] = true
	}
	return table
}()
