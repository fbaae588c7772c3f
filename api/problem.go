package api

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

// kind is a class of errors, which the type of an RFC 9457 document names. Slugs are part of the
// API and never change their meaning.
type kind struct {
	slug   string
	status int
	title  string
}

const problemTypePrefix = "urn:viakv:problem:"

var (
	kindMissing         = kind{"missing", 404, "No such key"}
	kindNoSuchEndpoint  = kind{"no-such-endpoint", 404, "No such endpoint"}
	kindNoSuchNode      = kind{"no-such-node", 404, "No such node"}
	kindBadParameter    = kind{"bad-parameter", 400, "Bad parameter"}
	kindBadLine         = kind{"bad-line", 400, "Bad line"}
	kindBadCursor       = kind{"bad-cursor", 400, "Bad cursor"}
	kindMalformed       = kind{"malformed", 400, "Malformed request"}
	kindUnauthenticated = kind{"unauthenticated", 401, "A token is needed"}
	kindForbidden       = kind{"forbidden", 403, "The token's role does not allow this"}
	kindCrossSite       = kind{"cross-site", 403, "Refused: sent by another site"}
	kindMethod          = kind{"method-not-allowed", 405, "Method not allowed"}
	kindSlow            = kind{"request-timeout", 408, "The request did not arrive in time"}
	kindAlreadyMember   = kind{"already-member", 409, "Already a member"}
	kindQuorumLoss      = kind{"quorum-loss", 409, "The change would lose the quorum"}
	kindFull            = kind{"mesh-full", 409, "The mesh has as many members as it may"}
	kindNotMesh         = kind{"not-a-mesh", 409, "This node is not part of a mesh"}
	kindMoved           = kind{"snapshot-moved", 409, "The store changed during the scan"}
	kindCleared         = kind{"cleared", 409, "The store was cleared during the scan"}
	kindMisdirected     = kind{"misdirected", 421, "Refused: not a name of this server"}
	kindBodyTooLarge    = kind{"body-too-large", 413, "Body too large"}
	kindURLTooLong      = kind{"url-too-long", 414, "URL too long"}
	kindMediaType       = kind{"media-type", 415, "Unsupported media type"}
	kindHeadersTooLarge = kind{"headers-too-large", 431, "Request line and headers too large"}
	kindInternal        = kind{"internal", 500, "Internal error"}
	kindPeerUnreachable = kind{"peer-unreachable", 502, "The peer cannot be reached"}
	kindUnavailable     = kind{"unavailable", 503, "Unavailable"}
	kindOverloaded      = kind{"overloaded", 503, "Overloaded"}
	kindMemoryLimit     = kind{"memory-limit", 507, "Memory limit reached"}
)

// problem is an answer that is not a success.
type problem struct {
	kind
	detail     string
	outcome    kv.Outcome
	parameter  string        // the parameter at fault, or empty
	endpoints  []string      // the paths that are served, or nil
	retryAfter time.Duration // above zero: when to try again
	load       *loadReport   // what became of a load; nil: it was none
}

// write makes the problem the response. Headers that were set before stay.
func (p *problem) write(ctx *fasthttp.RequestCtx) {
	ctx.SetStatusCode(p.status)
	ctx.SetContentType(problemType)
	if p.retryAfter > 0 {
		seconds := (p.retryAfter + time.Second - 1) / time.Second
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.FormatInt(int64(seconds), 10))
	}
	if p.status == fasthttp.StatusServiceUnavailable && p.outcome == kv.None {
		ctx.Response.Header.Set(headerRetriable, "true")
	}
	ctx.SetBody(p.append(nil))
}

// append appends the problem's document.
func (p *problem) append(dst []byte) []byte {
	dst = append(dst, `{"type":"`+problemTypePrefix...)
	dst = append(dst, p.slug...)
	dst = append(dst, `","title":`...)
	dst = appendJSON(dst, []byte(p.title))
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(p.status), 10)
	dst = append(dst, `,"detail":`...)
	dst = appendJSON(dst, []byte(p.detail))
	dst = append(dst, `,"outcome":"`...)
	dst = append(dst, p.outcome.String()...)
	dst = append(dst, '"')
	if p.parameter != "" {
		dst = append(dst, `,"parameter":`...)
		dst = appendJSON(dst, []byte(p.parameter))
	}
	for i, e := range p.endpoints {
		if i == 0 {
			dst = append(dst, `,"endpoints":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, []byte(e))
	}
	if p.endpoints != nil {
		dst = append(dst, ']')
	}
	if p.load != nil {
		dst = p.load.append(dst)
	}
	return append(dst, '}', '\n')
}

const problemType = "application/problem+json"

// missingBody is the answer to a request for a missing key. It is the only error of ordinary
// operation, and is built once.
var missingBody = (&problem{kind: kindMissing, detail: "the key has no value", outcome: kv.None}).append(nil)
