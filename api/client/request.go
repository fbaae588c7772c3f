package client

import (
	"strconv"

	"viakv/api/kv"
)

// parameter is one pair of a query.
type parameter struct{ name, value string }

// append appends the call's request to an endpoint.
func (k call) append(dst []byte, e *endpoint) []byte {
	method, headers := "GET ", e.headers
	switch {
	case k.body != nil:
		method = "POST "
	case k.mutates:
		method, headers = "POST ", e.postHeaders
	}
	dst = append(dst, method...)
	dst = append(dst, k.path...)
	separator := byte('?')
	for _, p := range k.parameters {
		dst = append(dst, separator)
		dst = append(dst, p.name...)
		dst = append(dst, '=')
		dst = appendEscaped(dst, p.value)
		separator = '&'
	}
	dst = append(dst, " HTTP/1.1\r\n"...)
	if k.json {
		dst = append(dst, "Accept: application/json\r\n"...)
	}
	if k.body != nil {
		dst = append(dst, "Content-Type: application/x-ndjson\r\nContent-Length: "...)
		dst = append(strconv.AppendInt(dst, int64(len(k.body)), 10), "\r\n"...)
	}
	return append(dst, headers...)
}

// quorums appends the parameters that stand for the options.
func (o Options) quorums(ps []parameter) []parameter {
	if o.R != kv.QuorumDefault {
		ps = append(ps, parameter{"r", o.R.String()})
	}
	if o.W != kv.QuorumDefault {
		ps = append(ps, parameter{"w", o.W.String()})
	}
	return ps
}

const hexDigits = "0123456789ABCDEF"

// appendEscaped appends s, with every byte percent-encoded that is not one of RFC 3986's unreserved
// characters.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	for i := range len(s) {
		if c := s[i]; unreserved[c] {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

var unreserved = func() (t [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~" {
		t[c] = true
	}
	return t
}()
