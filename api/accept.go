package api

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"
)

// This is done here, and not by github.com/munnerz/goautoneg, because that takes a type with q=0
// for accepted, lets an exact type win over a wildcard of higher weight, minds capitals, and
// allocates for every header.

var (
	headerAccept         = []byte(fasthttp.HeaderAccept)
	headerAcceptEncoding = []byte(fasthttp.HeaderAcceptEncoding)
)

// wantsJSON reports whether a client prefers a JSON document to plain text. A client that states no
// preference gets plain text.
func (x *exchange) wantsJSON() bool {
	accept := x.ctx.Request.Header.PeekCanonical(headerAccept)
	if len(accept) == 0 || string(accept) == "*/*" {
		return false
	}
	return prefer(accept, "text/plain", jsonType) == 1
}

// prefer returns the index of the media type that an Accept header rates highest, and the first of
// them on a tie. When the header accepts none of the types, it returns 0: an answer in another type
// is of more use than a 406.
func prefer(accept []byte, types ...string) int {
	best, bestQuality := 0, -1.0
	for i, t := range types {
		if q := quality(accept, t, "*/*"); q > bestQuality {
			best, bestQuality = i, q
		}
	}
	return best
}

// quality returns the weight that an Accept or Accept-Encoding header gives to an offer. The most
// specific range that matches decides; the weight is 0 when none matches. The wildcard is the
// header's: "*/*" or "*".
func quality(header []byte, offer, wildcard string) float64 {
	result, specific := 0.0, 0
	for len(header) > 0 {
		var element []byte
		element, header, _ = bytes.Cut(header, []byte(","))
		pattern, arguments, _ := bytes.Cut(element, []byte(";"))
		if m := match(bytes.TrimSpace(pattern), offer, wildcard); m > specific {
			specific, result = m, weight(arguments)
		}
	}
	return result
}

// weight returns the value of q among a range's arguments: 1 when there is no q, 0 when q is not a
// number from 0 to 1.
func weight(arguments []byte) float64 {
	for len(arguments) > 0 {
		var argument []byte
		argument, arguments, _ = bytes.Cut(arguments, []byte(";"))
		name, value, _ := bytes.Cut(bytes.TrimSpace(argument), []byte("="))
		if !bytes.EqualFold(name, []byte("q")) {
			continue
		}
		q, err := strconv.ParseFloat(string(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}

// match returns how specifically a range matches an offer: 3 exactly, 2 by a media type's first
// part, 1 by the wildcard, 0 not at all.
func match(pattern []byte, offer, wildcard string) int {
	switch {
	case bytes.EqualFold(pattern, []byte(offer)):
		return 3
	case string(pattern) == wildcard:
		return 1
	}
	if kind, found := bytes.CutSuffix(pattern, []byte("/*")); found && len(offer) > len(kind) && offer[len(kind)] == '/' &&
		bytes.EqualFold(kind, []byte(offer[:len(kind)])) {
		return 2
	}
	return 0
}
