package console

import (
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

// Console serves the page. It is safe for concurrent use.
type Console struct {
	inspector kv.Inspector // nil: the store has nothing to show beyond the API
	files     map[string]*file
}

// New returns the console of a node. The inspector may be nil.
func New(inspector kv.Inspector) *Console {
	return &Console{inspector: inspector, files: load()}
}

// askTime bounds what is asked of the other members.
const askTime = 1500 * time.Millisecond

// policy is the content security policy of invariant W1.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handle answers /console and everything below it. Methods and roles have been checked before.
func (c *Console) Handle(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	path := strings.TrimPrefix(string(ctx.URI().PathOriginal()), "/console")
	if name, ok := strings.CutPrefix(path, "/api/"); ok {
		c.inspect(ctx, name)
		return
	}
	if path == "" || path == "/" {
		path = "/index.html"
	}
	if f := c.files[path]; f != nil {
		f.serve(ctx)
		return
	}
	refuse(ctx, fasthttp.StatusNotFound, "No such file", "the console begins at /console")
}

// inspect answers what lies below /console/api.
func (c *Console) inspect(ctx *fasthttp.RequestCtx, name string) {
	if c.inspector == nil {
		refuse(ctx, fasthttp.StatusNotFound, "Nothing to show", "this node keeps its data in a database: there is no ring, and there are no replicas to look at")
		return
	}
	deadline, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	switch name {
	case "placement":
		answer(ctx, placementOf(c.inspector.Placement()))
	case "holdings":
		answer(ctx, holdingsOf(c.inspector.Holdings(deadline)))
	case "copies":
		key := ctx.QueryArgs().Peek("k")
		if len(key) == 0 || len(key) > kv.MaxKeyBytes || !utf8.Valid(key) || utf8.RuneCount(key) > kv.MaxKeyCharacters {
			refuse(ctx, fasthttp.StatusBadRequest, "Bad parameter", "k: give a key of 1 to 64 characters of valid UTF-8")
			return
		}
		answer(ctx, copiesOf(c.inspector.Copies(deadline, key)))
	default:
		refuse(ctx, fasthttp.StatusNotFound, "No such endpoint", "there are placement, holdings and copies")
	}
}

func answer(ctx *fasthttp.RequestCtx, document any) {
	b, err := json.Marshal(document)
	if err != nil {
		panic("console: a document of plain fields: " + err.Error())
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(b)
}

// refuse answers with a problem document as the API does (RFC 9457).
func refuse(ctx *fasthttp.RequestCtx, status int, title, detail string) {
	answer(ctx, struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", title, status, detail})
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/problem+json")
}
