package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/api/openapi"
	"viakv/quorum/version"
)

// mesh is a cluster whose answers the test sets.
type mesh struct {
	join   func(ctx context.Context, peer string) error
	leave  func(ctx context.Context, node string, force bool) (kv.Left, error)
	reads  func(ctx context.Context, reads kv.Reads) (version.Epoch, error)
	status kv.Status
}

func (m *mesh) Join(ctx context.Context, peer string) error { return m.join(ctx, peer) }
func (m *mesh) Leave(ctx context.Context, node string, force bool) (kv.Left, error) {
	return m.leave(ctx, node, force)
}
func (m *mesh) SetReads(ctx context.Context, reads kv.Reads) (version.Epoch, error) {
	return m.reads(ctx, reads)
}
func (m *mesh) Status() kv.Status { return m.status }

// Events has one event.
func (m *mesh) Events() *health.Log {
	log := new(health.Log)
	log.Add(health.Event{At: time.Unix(1, 0).UTC(), Name: "leader", Member: "n1", Text: "n1 leads the changes of members"})
	return log
}

// contract is the API's description, and which of its answers were seen.
type contract struct {
	document *openapi3.T
	router   routers.Router
	seen     map[string]bool // "get /set 200"
}

func loadContract(t testing.TB) *contract {
	t.Helper()
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.RegisteredBodyDecoder("text/plain"))
	openapi3filter.RegisterBodyDecoder("application/problem+json", openapi3filter.RegisteredBodyDecoder("application/json"))
	document, err := openapi3.NewLoader().LoadFromData(openapi.Document)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	document.Servers = nil
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return &contract{document, router, make(map[string]bool)}
}

// check compares a request and its answer with the document. With fine unset the request should be
// refused, and only its answer is compared.
func (c *contract) check(t testing.TB, h *harness, r *http.Request, body string, fine bool) {
	t.Helper()
	name := fmt.Sprintf("%s %.60s", r.Method, r.URL.RequestURI())
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	input := &openapi3filter.RequestValidationInput{Request: r.Clone(context.Background()), PathParams: params, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	input.Request.Body = io.NopCloser(strings.NewReader(body))
	if err := openapi3filter.ValidateRequest(context.Background(), input); (err == nil) != fine && fine {
		t.Errorf("%s: %v", name, err)
	}
	// ValidateRequest has read the body; the client needs it anew.
	r.Body = io.NopCloser(strings.NewReader(body))
	r.ContentLength = int64(len(body))
	response, err := h.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if fine != (response.StatusCode == 200) {
		t.Errorf("%s: status %d %s", name, response.StatusCode, content)
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{RequestValidationInput: input,
		Status: response.StatusCode, Header: response.Header, Body: io.NopCloser(bytes.NewReader(content)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true}})
	if err != nil {
		t.Errorf("%s: %d %s: %v", name, response.StatusCode, content, err)
	}
	// Headers beyond those of every HTTP answer must be documented.
	for header := range response.Header {
		switch header {
		case "Content-Type", "Content-Length", "Date", "Server", "Connection", "Content-Encoding":
		default:
			if documented := c.responses(route.Operation, response.StatusCode); documented != nil && documented.Headers[header] == nil {
				t.Errorf("%s: %d: the header %s is not documented", name, response.StatusCode, header)
			}
		}
	}
	c.seen[strings.ToLower(r.Method)+" "+route.Path+" "+fmt.Sprint(response.StatusCode)] = true
	if route.Operation.Responses.Status(response.StatusCode) == nil {
		c.seen[strings.ToLower(r.Method)+" "+route.Path+" default"] = true
	}
}

func (c *contract) responses(o *openapi3.Operation, status int) *openapi3.Response {
	if r := o.Responses.Status(status); r != nil {
		return r.Value
	}
	return o.Responses.Default().Value
}

// Every endpoint gives every answer that the document has, and each answer conforms to the
// document.
func TestContract(t *testing.T) {
	c := loadContract(t)

	store := &recorder{Reference: kvtest.Reference{}}
	var storeError error
	store.hook = func(context.Context, string) error { return storeError }
	cluster := &mesh{
		join: func(context.Context, string) error { return storeError },
		leave: func(_ context.Context, node string, force bool) (kv.Left, error) {
			return kv.Left{Node: "n1", Epoch: 8, Forced: force, Loss: &health.Loss{N: 3, W: 2, Copies: 1, Need: 2}}, storeError
		},
		reads: func(context.Context, kv.Reads) (version.Epoch, error) { return 8, storeError },
		status: kv.Status{Mode: "mesh", Cluster: "c", Self: "n1", State: "active", N: 3, R: 2, W: 2, Reads: kv.ReadsLease, Lease: kv.DefaultLease, Epoch: 7, Digest: "00ff",
			Members: []kv.Member{{Name: "n1", State: "active", Ownership: 0.5, Reading: &kv.Reading{Why: kv.NotAloneLeases, Lacks: []kv.LeaseLack{{Member: "n2", Why: "no process"}}}}, {Name: "n2", State: "rebuilding", Sync: &kv.Sync{Kind: "rebuild", Done: 0.5}}}},
	}
	h := start(t, Config{Store: store, Cluster: cluster})
	lone := start(t, Config{Store: store})
	for range 2 {
		h.server.history.Observe(h.server.lookAround())
	}
	// request, good, form and bad send one request each; bad also as a POST where that exists.
	request := func(h *harness, method, target, body string, headers ...string) *http.Request {
		r, err := http.NewRequest(method, "http://"+h.addr+target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return r
	}
	good := func(h *harness, target string, headers ...string) {
		t.Helper()
		c.check(t, h, request(h, "GET", target, "", headers...), "", true)
	}
	form := func(path, body string, fine bool) {
		t.Helper()
		c.check(t, h, request(h, "POST", path, body), body, fine)
	}
	bad := func(target string, err error, headers ...string) {
		t.Helper()
		storeError = err
		c.check(t, h, request(h, "GET", target, "", headers...), "", false)
		path, _, _ := strings.Cut(target, "?")
		if c.document.Paths.Value(path).Post != nil && len(headers) == 0 {
			c.check(t, h, request(h, "POST", target, ""), "", false)
		}
		storeError = nil
	}
	json := []string{"Accept", "application/json"}
	ndjson := []string{"Accept", "application/x-ndjson"}
	// The requests that succeed.
	for _, accept := range []string{"*/*", "application/json"} {
		c.check(t, h, request(h, "POST", "/setAll?w=all", `{"key":"a","value":"1"}`, "Content-Type", ndjsonType, "Accept", accept), `{"key":"a","value":"1"}`, true)
		c.check(t, h, request(h, "POST", "/setAll?format=json", `{"a":"1"}`, "Content-Type", jsonType, "Accept", accept), `{"a":"1"}`, true)
	}
	for _, headers := range [][]string{{"Content-Type", ndjsonType}, {"Content-Type", ndjsonType, "Accept", ndjsonType}} {
		c.check(t, h, request(h, "POST", "/getMany", "\"a\"\n\"b\"\n", headers...), "\"a\"\n\"b\"\n", true)
	}
	c.check(t, h, request(h, "POST", "/getMany?format=json&r=1", `["a","b"]`, "Content-Type", jsonType), `["a","b"]`, true)
	c.check(t, h, request(h, "POST", "/getMany", "a\n", "Content-Type", ndjsonType), "a\n", false)
	for _, target := range []string{"/getMany?k=a", "/getMany?k=a&k=b&r=all&format=ndjson"} {
		good(h, target)
		good(h, target, json...)
	}
	c.check(t, h, request(h, "POST", "/setAll?w=9", lines(2), "Content-Type", ndjsonType), lines(2), false)
	form("/set", url.Values{"k": {"a b"}, "v": {"\x00é"}}.Encode(), true)
	for _, target := range []string{"/set?k=a&v=1", "/set?k=a&v=&w=all", "/get?k=a&r=quorum", "/is?k=a", "/rm?k=a", "/clear"} {
		good(h, "/set?k=a&v=1")
		good(h, target)
		good(h, "/set?k=a&v=1")
		good(h, target, json...)
	}
	form("/set", "k=a&v=1", true)
	form("/rm", "k=a", true)
	form("/clear", "w=all", true)
	for _, target := range []string{"/getKeys", "/getValues?format=ndjson", "/getAll?limit=1", "/getAll?prefix=a&snapshot=1"} {
		good(h, target)
		good(h, target, ndjson...)
	}
	for i := range 10 {
		good(h, fmt.Sprintf("/set?k=%d&v=1", i))
	}
	good(h, "/getAll?limit=3&format=json")
	good(h, "/getAll")
	for _, target := range []string{"/cluster", "/cluster?events=1", "/history", "/history?since=9", "/plan?change=join", "/plan?change=leave&node=n2", "/livez", "/readyz", "/metrics", "/version", "/openapi.yaml", "/join?peer=n2:9081", "/leave?node=n2&force=true", "/leave", "/reads?mode=quorum", "/reads?mode=lease"} {
		good(h, target)
	}
	good(lone, "/cluster")
	good(h, "/metrics", "Accept", "application/openmetrics-text;version=1.0.0")
	form("/join", "peer=n2:9081", true)
	form("/leave", "node=n2", true)
	form("/reads", "mode=quorum", true)

	// The requests that fail, by each kind of error.
	unavailable := &kv.Unavailable{Outcome: kv.None, Reason: "no quorum"}
	unknown := &kv.Unavailable{Outcome: kv.Unknown, Reason: "one of two"}
	overloaded := &kv.Unavailable{Outcome: kv.None, Reason: "full", RetryAfter: 1}
	for _, target := range []string{"/set?k=b&v=1", "/get?k=b", "/rm?k=b", "/is?k=b", "/getMany?k=b&k=c", "/clear", "/getKeys", "/getValues", "/getAll", "/join?peer=a:1", "/leave", "/reads?mode=lease", "/readyz"} {
		for _, err := range []error{unavailable, unknown, overloaded, context.DeadlineExceeded} {
			bad(target, err)
		}
		if target != "/readyz" {
			bad(target, io.ErrUnexpectedEOF) // unknown: 500
		}
	}
	for _, target := range []string{"/set?k=&v=", "/get", "/rm?k=", "/is?k=%25zz&k=", "/getMany?k=a&k=", "/clear?w=x", "/getKeys?limit=0", "/getValues?format=x", "/getAll?cursor=x", "/join", "/leave?force=x", "/reads", "/reads?mode=", "/cluster?events=0", "/history?since=x"} {
		bad(target, nil)
	}
	bad("/set?k=a&v=1", kv.ErrMemoryLimit)
	for _, target := range []string{"/get?k=b", "/rm?k=b", "/is?k=b"} {
		bad(target, kv.ErrMissing)
	}
	for _, target := range []string{"/getKeys", "/getValues", "/getAll"} {
		bad(target, kv.ErrSnapshotMoved)
		bad(target, kv.ErrCleared)
		bad(target, kv.ErrBadCursor)
	}
	for _, err := range []error{kv.ErrAlreadyMember, kv.ErrQuorumLoss, kv.ErrFull, kv.ErrNotMesh} {
		bad("/join?peer=a:1", err)
		bad("/leave", err)
	}
	bad("/join?peer=a:1", kv.ErrPeerUnreachable)
	bad("/join?peer=a:1", kv.ErrMemoryLimit)
	bad("/leave?node=x", kv.ErrNoSuchNode)
	bad("/reads?mode=lease", kv.ErrNotMesh)
	bad("/plan?change=leave&node=x", nil)
	bad("/plan?change=grow", nil)
	c.check(t, lone, request(lone, "GET", "/plan?change=join", ""), "", false)
	bad("/set?k=a&v=1", nil, "Origin", "null")
	form("/set?k=a&k=b", "v=1", false)
	bad("/set?k=a&v="+strings.Repeat("x", 9000), nil)

	// Each documented status has been seen.
	for path, item := range c.document.Paths.Map() {
		for method, o := range item.Operations() {
			for status := range o.Responses.Map() {
				if entry := strings.ToLower(method) + " " + path + " " + status; status != "default" && !c.seen[entry] {
					t.Errorf("not seen: %s", entry)
				}
			}
		}
	}
}

// The document and the table of endpoints name the same paths, methods and roles.
func TestContractIsComplete(t *testing.T) {
	document := loadContract(t).document
	if document.Paths.Len() != len(endpoints) {
		t.Errorf("%d paths, and %d endpoints", document.Paths.Len(), len(endpoints))
	}
	for _, e := range endpoints {
		item := document.Paths.Value(e.path)
		if item == nil || (item.Get == nil) != e.loads || (item.Post != nil) != (e.mutates || e.posts) {
			t.Errorf("%s is not described, or with other methods", e.path)
			continue
		}
		o := item.Get
		if e.loads {
			o = item.Post
		}
		if o.Extensions["x-viakv-role"] != e.role.String() {
			t.Errorf("%s: role %v", e.path, o.Extensions["x-viakv-role"])
		}
		if open := o.Security != nil; open != (e.role == roleNone) {
			t.Errorf("%s: open %v", e.path, open)
		}
	}
	for i, p := range parameterNames {
		found := false
		for _, documented := range document.Components.Parameters {
			found = found || documented.Value.Name == p
		}
		if known, ok := lookup([]byte(p)); !found || !ok || known != parameter(i) || len(p) > maxParameterName {
			t.Errorf("the parameter %s: described %v, looked up %v %v", p, found, known, ok)
		}
	}
}

// The document lists each reason why a node asks other members for its reads, and each thing that a
// lease may lack.
func TestContractListsTheReasonsOfReadings(t *testing.T) {
	reading := loadContract(t).document.Components.Schemas["Reading"].Value.Properties
	var why []any
	for _, reason := range kv.NotAloneReasons() {
		why = append(why, string(reason))
	}
	var lacks []any
	for _, lack := range kv.LeaseLacks() {
		lacks = append(lacks, lack)
	}
	if got := reading["why"].Value.Enum; !slices.Equal(got, why) {
		t.Errorf("why: %q, want %q", got, why)
	}
	if got := reading["lacks"].Value.Items.Value.Properties["why"].Value.Enum; !slices.Equal(got, lacks) {
		t.Errorf("lacks: %q, want %q", got, lacks)
	}
}
