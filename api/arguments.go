package api

import (
	"net"
	"strconv"
	"unicode/utf8"

	"viakv/api/kv"
)

// text returns a parameter's decoded value, of at most maxCharacters characters. The result points
// into the request or into buffer. The buffer's capacity must hold that many characters.
func (x *exchange) text(p parameter, buffer []byte, maxCharacters int) ([]byte, error) {
	if x.parameters.repeated.has(p) {
		return nil, badParameter(p, "given more than once: give it once, in the query or in the form body")
	}
	return decodeValue(p, x.parameters.raw[p], buffer, maxCharacters)
}

// decodeValue is text of a value that is still encoded.
func decodeValue(p parameter, raw, buffer []byte, maxCharacters int) ([]byte, error) {
	if plain(raw) {
		if len(raw) > maxCharacters {
			return nil, tooLong(p, maxCharacters)
		}
		return raw, nil
	}
	decoded, fault := decodeText(buffer[:0], raw)
	switch fault {
	case textTooLong:
		return nil, tooLong(p, maxCharacters)
	case textBadEscape:
		return nil, badParameter(p, "a % must be followed by two hexadecimal digits; write % itself as %25")
	case textBadUTF8:
		return nil, badParameter(p, "not valid UTF-8")
	case textFragment:
		return nil, badParameter(p, "write # as %23")
	case textFine:
	}
	if utf8.RuneCount(decoded) > maxCharacters {
		return nil, tooLong(p, maxCharacters)
	}
	return decoded, nil
}

// key returns the value of the parameter k.
func (x *exchange) key() ([]byte, error) {
	if !x.parameters.seen.has(parameterKey) {
		return nil, badParameter(parameterKey, "missing: give a key of 1 to "+strconv.Itoa(kv.MaxKeyCharacters)+" characters")
	}
	key, err := x.text(parameterKey, x.keyBuffer[:], kv.MaxKeyCharacters)
	return notEmpty(key, err)
}

// notEmpty refuses an empty key.
func notEmpty(key []byte, err error) ([]byte, error) {
	if err == nil && len(key) == 0 {
		return nil, badParameter(parameterKey, "empty: give a key of 1 to "+strconv.Itoa(kv.MaxKeyCharacters)+" characters")
	}
	return key, err
}

// value returns the value of the parameter v.
func (x *exchange) value() ([]byte, error) {
	if !x.parameters.seen.has(parameterValue) {
		return nil, badParameter(parameterValue, "missing: give a value of 0 to "+strconv.Itoa(kv.MaxValueCharacters)+" characters")
	}
	return x.text(parameterValue, x.valueBuffer[:], kv.MaxValueCharacters)
}

// short returns a parameter of at most 256 characters as a string. It returns the empty string when
// the parameter is missing.
func (x *exchange) short(p parameter) (string, error) {
	if !x.parameters.seen.has(p) {
		return "", nil
	}
	// valueBuffer is not used here: it may hold the value that is to be stored.
	var room [kv.MaxValueBytes]byte
	text, err := x.text(p, room[:], kv.MaxValueCharacters)
	return string(text), err
}

// options returns the request's quorums, its deadline and its trace.
func (x *exchange) options() (kv.Options, error) {
	o := kv.Options{Deadline: x.start.Add(x.server.config.Timeout), Trace: x.trace}
	var err error
	if x.parameters.seen&setOf(parameterR, parameterW) == 0 {
		return o, nil
	}
	if o.R, err = x.quorum(parameterR); err != nil {
		return o, err
	}
	o.W, err = x.quorum(parameterW)
	return o, err
}

func (x *exchange) quorum(p parameter) (kv.Quorum, error) {
	s, err := x.short(p)
	if err != nil || !x.parameters.seen.has(p) {
		return kv.QuorumDefault, err
	}
	q, ok := kv.ParseQuorum(s)
	if !ok {
		return q, badParameter(p, `give a number of replicas from 1 to their count, "quorum" or "all"`)
	}
	return q, nil
}

// maxLimit is the highest limit that a scan may ask for, in pairs.
const maxLimit = 10_000

func (x *exchange) limit() (int, error) { return x.count(parameterLimit, maxLimit) }

// count returns a parameter that is a number from 1 to most. It returns zero when the parameter is
// missing.
func (x *exchange) count(p parameter, most int) (int, error) {
	s, err := x.short(p)
	if err != nil || !x.parameters.seen.has(p) {
		return 0, err
	}
	n, ok := decimal(s, most)
	if !ok || n < 1 {
		return 0, badParameter(p, "give a number from 1 to "+strconv.Itoa(most))
	}
	return n, nil
}

func (x *exchange) flag(p parameter) (bool, error) {
	s, err := x.short(p)
	if err != nil || !x.parameters.seen.has(p) {
		return false, err
	}
	switch s {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, badParameter(p, "give true or false")
}

// peer returns the peer address of a join.
func (x *exchange) peer() (string, error) {
	const want = "give the peer address (host:port) of a member of the mesh to join"
	if !x.parameters.seen.has(parameterPeer) {
		return "", badParameter(parameterPeer, "missing: "+want)
	}
	s, err := x.short(parameterPeer)
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return "", badParameter(parameterPeer, want)
	}
	if n, ok := decimal(port, 65535); !ok || n == 0 {
		return "", badParameter(parameterPeer, want)
	}
	return s, nil
}

// decimal parses a number that consists of digits only: no sign, no space, no leading zero, at most
// limit.
func decimal(s string, limit int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n <= limit && strconv.Itoa(n) == s
}

func badParameter(p parameter, detail string) error {
	return &kv.ArgumentError{Parameter: p.String(), Detail: detail}
}

func tooLong(p parameter, limit int) error {
	return badParameter(p, "more than "+strconv.Itoa(limit)+" characters")
}
