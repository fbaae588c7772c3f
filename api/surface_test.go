package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"
)

// surface draws requests to everything that is served. It compares each answer with the OpenAPI
// document, and the answers of the data endpoints with a map.
type surface struct {
	*rapid.T
	h        *harness
	contract *contract
	logs     *observer.ObservedLogs
	conn     net.Conn
	reader   *bufio.Reader
	model    surfaceModel
}

// surfaceChecks starts one server for all checks. Each check begins with an empty store.
func surfaceChecks(t testing.TB) func(*rapid.T) {
	core, logs := observer.New(zap.ErrorLevel)
	h := start(t, Config{Logger: zap.New(core)})
	h.get("/livez").want(t, 200, "*") // Serve runs before the server is stopped
	c := loadContract(t)
	return func(t *rapid.T) {
		s := &surface{T: t, h: h, contract: c, logs: logs, model: surfaceModel{pairs: map[string]string{}}}
		defer s.hangUp()
		s.exchange(request{method: "GET", path: "/clear"})
		for range rapid.IntRange(1, 20).Draw(t, "requests") {
			s.exchange(s.request())
		}
		s.exchange(request{method: "GET", path: "/getAll"}) // requests that were refused have stored nothing
	}
}

// Whatever is asked, the answer is one that the document has, and the store is the map it should
// be.
func TestSurfaceIsWhatTheDocumentSays(t *testing.T) { rapid.Check(t, surfaceChecks(t)) }

func FuzzSurface(f *testing.F) { f.Fuzz(rapid.MakeFuzz(surfaceChecks(f))) }

// request is a request that is sent as it stands: none of it is encoded anew.
type request struct {
	method, path, query, body string
	header                    map[string]string
}

func (r request) target() string {
	if r.query == "" {
		return r.path
	}
	return r.path + "?" + r.query
}

var unknownPaths = []string{"/", "/set/", "/SET", "/getkeys", "/nothing", "/console", "/v3/discovery:endpoints", "/.well-known/x", "/getAll/1", "/é"}

func (s *surface) request() request {
	r := request{header: map[string]string{}}
	if rapid.IntRange(0, 2).Draw(s.T, "data") > 0 {
		r.path = rapid.SampledFrom([]string{"/set", "/set", "/set", "/get", "/rm", "/is", "/clear", "/getKeys", "/getValues", "/getAll", "/setAll", "/getMany"}).Draw(s.T, "path")
	} else {
		paths := append([]string(nil), unknownPaths...)
		for _, e := range endpoints {
			paths = append(paths, e.path)
		}
		r.path = rapid.SampledFrom(paths).Draw(s.T, "any path")
	}
	r.method = rapid.SampledFrom([]string{"GET", "GET", "GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"}).Draw(s.T, "method")
	// Most requests have the parameters that their endpoint needs, and little else.
	likely := map[string][]string{"/set": {"k", "v"}, "/get": {"k"}, "/rm": {"k"}, "/is": {"k"}, "/getMany": {"k", "k"}, "/join": {"peer"}, "/plan": {"change"}, "/reads": {"mode"}}[r.path]
	var query, form []string
	add := func(name string) {
		if pair := s.pair(name); r.method == "POST" && rapid.Bool().Draw(s.T, "in the form") {
			form = append(form, pair)
		} else {
			query = append(query, pair)
		}
	}
	for _, name := range likely {
		if rapid.IntRange(0, 9).Draw(s.T, "missing") > 0 {
			add(name)
		}
	}
	names := append([]string{"K", "key", "kk", "", "%6b", "k%00", "snapshots", "%zz", "a\xff"}, parameterNames[:]...)
	for range max(0, rapid.IntRange(-1, 3).Draw(s.T, "more parameters")) {
		add(rapid.SampledFrom(names).Draw(s.T, "parameter"))
	}
	r.query, r.body = strings.Join(query, "&"), strings.Join(form, "&")
	if lines := map[string][]string{loadPath: loadLines, getManyPath: keyLines}[r.path]; lines != nil && r.method == "POST" {
		r.body = strings.Join(rapid.SliceOfN(rapid.SampledFrom(lines), 0, 6).Draw(s.T, "lines"), "\n")
	}
	// Some requests have headers, valid and invalid ones.
	maybe := func(header string, values ...string) {
		if rapid.IntRange(0, 4).Draw(s.T, header) == 0 {
			r.header[header] = rapid.SampledFrom(values).Draw(s.T, header+" value")
		}
	}
	if r.body != "" {
		r.header["Content-Type"] = string(formType)
		maybe("Content-Type", string(formType)+"; charset=utf-8", "application/json", "text/plain", "")
	} else if rapid.IntRange(0, 9).Draw(s.T, "stray body") == 0 {
		r.body = rapid.SampledFrom([]string{"k=a&v=stray", "\x00\xff", "{}"}).Draw(s.T, "body")
	}
	maybe("Accept", "application/json", "application/x-ndjson", "*/*", "text/html, application/x-ndjson;q=0.5", ";;,q=", "\xff", "application/openmetrics-text;version=1.0.0")
	maybe("X-Request-Id", "abc-1", strings.Repeat("a", 64), strings.Repeat("a", 65), "a b", "\xff", "é")
	maybe("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0-0-0", "\xff")
	maybe("Authorization", "Bearer nobody", "Basic x")
	maybe("Accept-Encoding", "identity", "*;q=0")
	if rapid.IntRange(0, 19).Draw(s.T, "foreign") == 0 {
		maybe("Host", "evil.example", "localhost")
		maybe("Origin", "https://evil.example", "null")
		maybe("Sec-Fetch-Site", "cross-site", "none")
	}
	return r
}

// loadLines are lines of loads. The last ones are bad.
var loadLines = []string{
	`{"key":"a","value":"1"}`, `{"key":"b","value":""}`, `{"value":"2","key":"a"}`, ` {"key" : "\u00e9", "value":"😀"}`, "", "\r",
	`{"key":"","value":"x"}`, `{"key":"a"}`, "k=a&v=1",
}

// keyLines are lines of keys. The last ones are bad.
var keyLines = []string{`"a"`, `"\u00e9"`, ` "b"`, `{"key":"a","value":"1"}`, "", "\r", `""`, `["a"]`, "a"}

// pair draws a value of a parameter and a way to write it. Most are legal.
func (s *surface) pair(name string) string {
	var of *rapid.Generator[string]
	switch name {
	case "r", "w":
		of = rapid.SampledFrom([]string{"1", "quorum", "all", "0", "2", "01", "1000", "1001", "-1", "", "All", "18446744073709551617"})
	case "limit":
		of = rapid.SampledFrom([]string{"1", "2", "3", "10000", "10001", "0", "01", "+1", "1e1", "", "18446744073709551617"})
	case "cursor":
		of = s.cursor()
	case "format":
		of = rapid.SampledFrom([]string{"json", "ndjson", "xml", ""})
	case "snapshot", "force":
		of = rapid.SampledFrom([]string{"1", "true", "0", "false", "yes", ""})
	case "peer":
		of = rapid.SampledFrom([]string{"127.0.0.1:1", "[::1]:1", "a", "a:0", "a:65536", ":1", ""})
	case "change":
		of = rapid.SampledFrom([]string{"join", "leave", "grow", ""})
	case "k", "prefix":
		of = rapid.OneOf(rapid.SampledFrom([]string{"a", "ab", "b", "é", "a b", "\x00", "😀"}), text)
	default:
		of = text
	}
	value := of.Draw(s.T, "value of "+name)
	switch rapid.IntRange(0, 11).Draw(s.T, "encoding") {
	case 0:
		value = rapid.SampledFrom([]string{"%", "%4", "%zz", "a%", "%g1", "%ff", "%C3%28", "%ed%a0%80", "\xff", "%00", "+"}).Draw(s.T, "odd encoding")
	case 1, 2: // every byte is escaped
		value = strings.ToUpper(fmt.Sprintf("% x", value))
		if value != "" {
			value = "%" + strings.ReplaceAll(value, " ", "%")
		}
	case 3: // nothing is escaped that need not be
		value = strings.NewReplacer("%20", "+", "%3D", "=", "%2F", "/", "%3A", ":", "%3B", ";", "%3F", "?").Replace(url.QueryEscape(value))
	default:
		value = url.QueryEscape(value)
	}
	if value == "" && rapid.Bool().Draw(s.T, "bare name") {
		return name
	}
	return name + "=" + value
}

// text draws texts of edge lengths, in characters of one byte to four, and others of all of
// Unicode.
var text = rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
	character := rapid.SampledFrom([]string{"x", "é", "€", "😀", "\xff"}).Draw(t, "character")
	return strings.Repeat(character, rapid.SampledFrom([]int{0, 1, 64, 65, 256, 257}).Draw(t, "length"))
}))

// cursor draws cursors of earlier answers, and damaged and foreign ones.
func (s *surface) cursor() *rapid.Generator[string] {
	own := []string{"", "AQ", "AAAAAAAAAAFhAAAAAA", strings.Repeat("A", 512), strings.Repeat("A", 513)}
	for _, c := range s.model.cursors {
		own = append(own, c.text, c.text, c.text[1:], c.text+"A")
	}
	return rapid.SampledFrom(own)
}

// exchange sends a request and judges its answer.
func (s *surface) exchange(r request) {
	a := s.send(r)
	what := fmt.Sprintf("%s %q, body %q, %q: %d %.300q", r.method, r.target(), r.body, r.header, a.status, a.body)
	if a.status == 500 || s.logs.Len() > 0 {
		s.Fatalf("%s; logged: %v", what, s.logs.TakeAll())
	}
	if id := r.header["X-Request-Id"]; id != "" && len(id) <= maxRequestID && validRequestID([]byte(id)) && a.header.Get("X-Request-Id") != id {
		s.Fatalf("%s: the request's id is %q", what, a.header.Get("X-Request-Id"))
	}
	if r.method == "HEAD" {
		s.head(r, a, what)
		return
	}
	s.validate(r, a, what)
	s.model.judge(s.T, r, a, what)
}

// head compares the answer to a HEAD with that to a GET. An endpoint that mutates must refuse HEAD.
func (s *surface) head(r request, a answer, what string) {
	if a.body != "" {
		s.Fatalf("%s: a body", what)
	}
	if e := endpointAt(r.path); e != nil && e.mutates {
		if a.status != 405 {
			s.Fatalf("%s: want 405", what)
		}
		return
	}
	r.method = "GET"
	full := s.send(r)
	s.validate(r, full, what)
	same := []string{"Content-Type", "Content-Length", "Allow", headerCursor}
	if r.path == "/metrics" {
		same = same[:1] // its figures change from one answer to the next
	}
	for _, name := range same {
		if a.header.Get(name) != full.header.Get(name) {
			s.Fatalf("%s: %s is %q, of GET %q", what, name, a.header.Get(name), full.header.Get(name))
		}
	}
	if a.status != full.status {
		s.Fatalf("%s: GET has %d", what, full.status)
	}
	s.model.judge(s.T, r, full, what)
}

func endpointAt(path string) *endpoint {
	for _, e := range endpoints {
		if e.path == path {
			return e
		}
	}
	return nil
}

// validate compares an answer with the document. A path that the document does not have gets a
// problem document of the same form.
func (s *surface) validate(r request, a answer, what string) {
	path, method := r.path, r.method
	if endpointAt(path) == nil {
		path, method = "/livez", "GET" // the other answers of /livez are those of every endpoint
	} else if e := endpointAt(path); method != "POST" || !e.mutates && !e.posts {
		method = "GET"
		if endpointAt(path).loads {
			method = "POST" // its answers to other methods are among the others
		}
	}
	// kin-openapi counts UTF-16 units where JSON Schema counts characters. Characters of two units
	// are therefore replaced.
	narrow := func(text string) string {
		return strings.Map(func(c rune) rune { return min(c, 0xffff) }, text)
	}
	query := r.query
	if values, err := url.ParseQuery(query); err == nil {
		for _, all := range values {
			for i := range all {
				all[i] = narrow(all[i])
			}
		}
		query = values.Encode()
	}
	h := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"Content-Type": {string(formType)}}, Body: http.NoBody}
	route, params, err := s.contract.router.FindRoute(h)
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
	input := &openapi3filter.RequestValidationInput{Request: h, PathParams: params, Route: route, Options: &openapi3filter.Options{
		ExcludeRequestBody: true, IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	if a.status == 200 && !strings.Contains(query, ";") { // net/url does not read a query with a semicolon
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			s.Fatalf("%s: accepted, against the document: %v", what, err)
		}
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{RequestValidationInput: input,
		Status: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader([]byte(narrow(a.body)))), Options: input.Options})
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// send writes the request's bytes on a kept-alive connection.
func (s *surface) send(r request) answer {
	if s.conn == nil {
		c, err := net.Dial("tcp", s.h.addr)
		if err != nil {
			s.Fatal(err)
		}
		s.conn, s.reader = c, bufio.NewReader(c)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.method, r.target())
	if r.header["Host"] == "" {
		fmt.Fprintf(&b, "Host: %s\r\n", s.h.addr)
	}
	for name, value := range r.header {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	if r.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n" + r.body)
	if err := s.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.Fatal(err)
	}
	if _, err := io.WriteString(s.conn, b.String()); err != nil {
		s.Fatalf("%q: %v", b.String(), err)
	}
	response, err := http.ReadResponse(s.reader, &http.Request{Method: r.method})
	if err != nil {
		s.Fatalf("%q: %v", b.String(), err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatalf("%q: %v after %q", b.String(), err, body)
	}
	if response.Close {
		s.hangUp()
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func (s *surface) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

// These differences were found by drawn requests.
func TestNumbersAndScansAsDocumented(t *testing.T) {
	h := start(t, Config{})
	for _, target := range []string{"/get?k=a&r=01", "/set?k=a&v=1&w=01", "/getAll?limit=01"} {
		h.get(target).problem(t, 400, "bad-parameter")
	}
	h.get("/getAll?w=none").want(t, 200, "{}\n") // w is not a parameter of scans
	h.get("/set?k=a&v=%F0%9F%98%80&w=%31").want(t, 200, "OK\n")
	h.get("/get?k=a").want(t, 200, "😀") // the value, and not what w was decoded to
}
