package api

import "bytes"

// parameter is a name that some endpoint knows.
type parameter uint8

const (
	parameterKey parameter = iota
	parameterValue
	parameterR
	parameterW
	parameterLimit
	parameterCursor
	parameterPrefix
	parameterFormat
	parameterSnapshot
	parameterPeer
	parameterNode
	parameterForce
	parameterChange
	parameterCount
)

var parameterNames = [parameterCount]string{
	"k", "v", "r", "w", "limit", "cursor", "prefix", "format", "snapshot", "peer", "node", "force", "change",
}

func (p parameter) String() string { return parameterNames[p] }

// lookup finds a decoded name; false when no endpoint knows it.
func lookup(name []byte) (parameter, bool) {
	switch string(name) {
	case "k":
		return parameterKey, true
	case "v":
		return parameterValue, true
	case "r":
		return parameterR, true
	case "w":
		return parameterW, true
	case "limit":
		return parameterLimit, true
	case "cursor":
		return parameterCursor, true
	case "prefix":
		return parameterPrefix, true
	case "format":
		return parameterFormat, true
	case "snapshot":
		return parameterSnapshot, true
	case "peer":
		return parameterPeer, true
	case "node":
		return parameterNode, true
	case "force":
		return parameterForce, true
	case "change":
		return parameterChange, true
	}
	return 0, false
}

// parameterSet is a set of parameters, one bit each.
type parameterSet uint16

func setOf(ps ...parameter) parameterSet {
	var s parameterSet
	for _, p := range ps {
		s |= 1 << p
	}
	return s
}

func (s parameterSet) has(p parameter) bool { return s&(1<<p) != 0 }

// parameters are the raw, still encoded values of one request. They point into the request.
type parameters struct {
	raw      [parameterCount][]byte
	seen     parameterSet
	repeated parameterSet
}

func (p *parameters) reset() { p.seen, p.repeated = 0, 0 }

// parse adds the pairs of a query or of a form body. A request's query and body share one value, so a name that stands in both
// counts as repeated. Names that no endpoint knows are skipped without a look at their values.
func (p *parameters) parse(query []byte) {
	for len(query) > 0 {
		pair := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		var value []byte
		name := pair
		if i := bytes.IndexByte(pair, '='); i >= 0 {
			name, value = pair[:i], pair[i+1:]
		}
		if len(name) == 0 || len(name) > 3*maxParameterName {
			continue
		}
		var scratch [maxParameterName]byte
		if !plain(name) {
			decoded, fault := decodeText(scratch[:0], name)
			if fault != textFine {
				continue
			}
			name = decoded
		}
		known, ok := lookup(name)
		if !ok {
			continue
		}
		if p.seen.has(known) {
			p.repeated |= 1 << known
			continue
		}
		p.seen |= 1 << known
		p.raw[known] = value
	}
}

const maxParameterName = 8 // "snapshot"
