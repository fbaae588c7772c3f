package api

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// tokenRole is what a bearer token allows. Each role includes those before it.
type tokenRole uint8

// The roles.
const (
	roleNone  tokenRole = iota // needs no token
	roleRead                   // get, is, scans, cluster, plan, metrics, /console/api
	roleWrite                  // set, rm
	roleAdmin                  // clear, join, leave, reads, profiles
)

var roleNames = []string{"none", "read", "write", "admin"}

func (r tokenRole) String() string { return roleNames[r] }

// tokens is the content of a token file, immutable.
type tokens struct{ entries []tokenEntry }

type tokenEntry struct {
	// digest is the token's. Comparing digests reveals neither the bytes nor the length of a token
	// through the time it takes.
	digest [sha256.Size]byte
	role   tokenRole
	name   string // for the log
}

// minToken is the length of the shortest token accepted, in characters: a short one that a person
// makes up can be guessed.
const minToken = 16

// loadTokens reads a token file. Each line has a role (read, write or admin), a token and perhaps a
// name for the log. The token has at least 16 characters, of those that RFC 6750 allows. Empty
// lines and those that begin with # are skipped. Errors never show a token.
func loadTokens(path string) (*tokens, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := &tokens{}
	var faults []error
	for i, line := range strings.Split(string(content), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		entry, err := parseToken(fields)
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", i+1, err))
			continue
		}
		if entry.name == "" {
			entry.name = fmt.Sprintf("line %d", i+1)
		}
		t.entries = append(t.entries, entry)
	}
	if len(faults) == 0 && len(t.entries) == 0 {
		faults = append(faults, errors.New("there is no token in it: add a line such as \"admin <token>\""))
	}
	return t, errors.Join(faults...)
}

func parseToken(fields []string) (tokenEntry, error) {
	var e tokenEntry
	role := slices.Index(roleNames, fields[0])
	if role < int(roleRead) { // no name at all, or that of roleNone
		return e, errors.New("begin the line with the role: read, write or admin")
	}
	e.role = tokenRole(role)
	if len(fields) < 2 || len(fields[1]) < minToken || strings.Trim(fields[1], tokenCharacters) != "" {
		return e, fmt.Errorf("a token has at least %d letters, digits or -._~+/= (make one with: openssl rand -hex 24)", minToken)
	}
	e.digest = sha256.Sum256([]byte(fields[1]))
	e.name = strings.Join(fields[2:], " ")
	return e, nil
}

const tokenCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/="

// find returns the role and the name of a presented token, and roleNone when there is no such
// token. It compares all entries whichever matches, so that the time tells nothing.
func (t *tokens) find(presented []byte) (tokenRole, string) {
	digest := sha256.Sum256(presented)
	role, name := roleNone, ""
	for i := range t.entries {
		e := &t.entries[i]
		if subtle.ConstantTimeCompare(digest[:], e.digest[:]) == 1 && e.role > role {
			role, name = e.role, e.name
		}
	}
	return role, name
}

var (
	headerAuthorization = []byte("Authorization")
	bearerScheme        = []byte("Bearer")
)

// authorize checks the request's token against the role that its endpoint needs. Without a token
// file every client may do everything.
func (x *exchange) authorize(needed tokenRole) error {
	if x.server.tokens == nil || needed == roleNone {
		return nil
	}
	challenge := func(parameters string) {
		x.ctx.Response.Header.Set("WWW-Authenticate", `Bearer realm="viakv"`+parameters)
	}
	scheme, token, found := bytes.Cut(x.ctx.Request.Header.PeekCanonical(headerAuthorization), []byte(" "))
	if !found || !bytes.EqualFold(scheme, bearerScheme) {
		challenge("")
		x.server.metrics.deny(deniedNoToken)
		return refuse(kindUnauthenticated, "send the header Authorization: Bearer TOKEN with a token of the role "+needed.String())
	}
	role, name := x.server.tokens.Get().find(bytes.TrimSpace(token))
	switch {
	case role == roleNone:
		challenge(`, error="invalid_token"`)
		x.server.metrics.deny(deniedUnknownToken)
		return refuse(kindUnauthenticated, "the token is not known here")
	case role < needed:
		challenge(`, error="insufficient_scope", scope="` + needed.String() + `"`)
		x.server.metrics.deny(deniedRole)
		return refuse(kindForbidden, "this needs the role "+needed.String()+", and the token has "+role.String())
	}
	x.tokenName = name
	return nil
}
