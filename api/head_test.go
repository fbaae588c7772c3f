package api

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// responses reads all the responses of one connection, which the server must have closed.
func responses(t testing.TB, raw string) (out []answer) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(raw))
	for {
		if _, err := r.Peek(1); err == io.EOF {
			return out
		}
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%v in %q", err, raw)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatalf("%v in %q", err, raw)
		}
		if response.Close { // ReadResponse has taken this header out
			response.Header.Set("Connection", "close")
		}
		if response.StatusCode != 100 {
			out = append(out, answer{response.StatusCode, response.Header, string(body)})
		}
	}
}

const (
	formHead = "POST /set HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	formBody = "k=a&v=1"
	chunks   = "7\r\nk=a&v=1\r\n0\r\n\r\n"
	// nextRequest follows on the same connection. Where a length is ambiguous, an attacker smuggles
	// such a request.
	nextRequest = "GET /set?k=next&v=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
)

// A request whose end is ambiguous is not executed, nor is anything that follows it.
func TestAmbiguousFraming(t *testing.T) {
	store := &recorder{}
	h := start(t, Config{Store: store})
	cases := map[string]string{
		"length, then chunked":             formHead + "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"chunked, then length":             formHead + "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n" + chunks,
		"chunked, and the right length":    formHead + "Transfer-Encoding: chunked\r\nContent-Length: 17\r\n\r\n" + chunks,
		"chunked, and a length of zero":    formHead + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"in other letters":                 formHead + "content-LENGTH: 7\r\ntransfer-ENCODING: CHUNKED\r\n\r\n" + chunks,
		"of a GET":                         "GET /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"with an expectation":              formHead + "Expect: 100-continue\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"identity":                         formHead + "Transfer-Encoding: identity\r\n\r\n",
		"identity of a GET":                "GET /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n",
		"identity and a length":            formHead + "Transfer-Encoding: identity\r\nContent-Length: 7\r\n\r\n" + formBody,
		"gzip":                             formHead + "Transfer-Encoding: gzip\r\n\r\n" + chunks,
		"gzip, chunked":                    formHead + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks,
		"chunked, identity":                formHead + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunks,
		"chunked, chunked":                 formHead + "Transfer-Encoding: chunked, chunked\r\n\r\n" + chunks,
		"chunked twice":                    formHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"chunked and identity":             formHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunks,
		"no coding":                        formHead + "Transfer-Encoding:\r\nContent-Length: 7\r\n\r\n" + formBody,
		"a quoted coding":                  formHead + "Transfer-Encoding: \"chunked\"\r\n\r\n" + chunks,
		"a coding behind a control byte":   formHead + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunks,
		"a coding in HTTP/1.0":             "POST /set HTTP/1.0\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"a folded coding":                  formHead + "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunks,
		"a folded length":                  formHead + "Content-Length:\r\n\t7\r\n\r\n" + formBody,
		"a length in a fold":               formHead + "X: a\r\n Content-Length: 0\r\nContent-Length: 7\r\n\r\n" + formBody,
		"a folded field":                   formHead + "Content-Length: 7\r\nX: a\r\n b\r\n\r\n" + formBody,
		"two lengths":                      formHead + "Content-Length: 7\r\nContent-Length: 8\r\n\r\n" + formBody,
		"the same length twice":            formHead + "Content-Length: 7\r\nContent-Length: 7\r\n\r\n" + formBody,
		"a list of lengths":                formHead + "Content-Length: 7, 7\r\n\r\n" + formBody,
		"no length in its field":           formHead + "Content-Length:\r\n\r\n",
		"a length with a sign":             formHead + "Content-Length: +7\r\n\r\n" + formBody,
		"a negative length":                formHead + "Content-Length: -7\r\n\r\n" + formBody,
		"a hexadecimal length":             formHead + "Content-Length: 0x7\r\n\r\n" + formBody,
		"a fraction":                       formHead + "Content-Length: 7.0\r\n\r\n" + formBody,
		"two numbers":                      formHead + "Content-Length: 7 7\r\n\r\n" + formBody,
		"a length beyond 64 bits":          formHead + "Content-Length: 18446744073709551623\r\n\r\n" + formBody,
		"a space before the colon":         formHead + "Content-Length : 7\r\n\r\n" + formBody,
		"a tab before the colon":           formHead + "Transfer-Encoding\t: chunked\r\nContent-Length: 7\r\n\r\n" + formBody,
		"a space in a name":                formHead + "Transfer Encoding: chunked\r\nContent-Length: 7\r\n\r\n" + formBody,
		"a space before a name":            "POST /set HTTP/1.1\r\n Content-Length: 7\r\nHost: h\r\n\r\n" + formBody,
		"a line without a colon":           formHead + "X\r\nContent-Length: 7\r\n\r\n" + formBody,
		"a NUL in a value":                 formHead + "X: a\x00b\r\nContent-Length: 7\r\n\r\n" + formBody,
		"a NUL in a name":                  formHead + "X\x00: a\r\nContent-Length: 7\r\n\r\n" + formBody,
		"a length behind a bare CR":        formHead + "X: a\rContent-Length: 0\r\nContent-Length: 7\r\n\r\n" + formBody,
		"a length behind a bare LF":        formHead + "X: a\nContent-Length: 7\r\n\r\n" + formBody,
		"a coding behind a bare LF":        formHead + "X: a\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
		"bare LF as the end":               formHead + "Content-Length: 7\r\n\n" + formBody,
		"bare LF everywhere":               strings.ReplaceAll(formHead+"Content-Length: 7\r\n\r\n", "\r\n", "\n") + formBody,
		"a chunk's size with a prefix":     formHead + "Transfer-Encoding: chunked\r\n\r\n0x7\r\nk=a&v=1\r\n0\r\n\r\n",
		"a chunk's size with a sign":       formHead + "Transfer-Encoding: chunked\r\n\r\n+7\r\nk=a&v=1\r\n0\r\n\r\n",
		"a chunk of negative size":         formHead + "Transfer-Encoding: chunked\r\n\r\n-7\r\nk=a&v=1\r\n0\r\n\r\n",
		"a chunk without a size":           formHead + "Transfer-Encoding: chunked\r\n\r\n\r\nk=a&v=1\r\n0\r\n\r\n",
		"a chunk's size beyond 64 bits":    formHead + "Transfer-Encoding: chunked\r\n\r\n10000000000000007\r\nk=a&v=1\r\n0\r\n\r\n",
		"a chunk's size that overflows":    formHead + "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nk=a&v=1\r\n0\r\n\r\n",
		"a chunk that is longer":           formHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nk=a&v=1\r\n0\r\n\r\n",
		"bare LF behind a chunk's size":    formHead + "Transfer-Encoding: chunked\r\n\r\n7\nk=a&v=1\r\n0\r\n\r\n",
		"bare LF in a chunk's extension":   formHead + "Transfer-Encoding: chunked\r\n\r\n7;a\nb\r\nk=a&v=1\r\n0\r\n\r\n",
		"bare LF behind a chunk":           formHead + "Transfer-Encoding: chunked\r\n\r\n7\r\nk=a&v=1\n0\r\n\r\n",
		"a length in the trailer":          formHead + "Transfer-Encoding: chunked\r\n\r\n7\r\nk=a&v=1\r\n0\r\nContent-Length: 7\r\n\r\n",
		"a coding in the trailer":          formHead + "Transfer-Encoding: chunked\r\n\r\n7\r\nk=a&v=1\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"a token in the trailer":           formHead + "Transfer-Encoding: chunked\r\n\r\n7\r\nk=a&v=1\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
		"a version that is not spoken":     "GET /set?k=a&v=1 HTTP/2.0\r\nHost: h\r\n\r\n",
		"a version that does not exist":    "GET /set?k=a&v=1 HTTP/1.2\r\n\r\n",
		"a version in other letters":       "GET /set?k=a&v=1 http/1.1\r\nHost: h\r\n\r\n",
		"HTTP/0.9":                         "GET /set?k=a&v=1\r\n\r\n",
		"two spaces in the request's line": "GET  /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\n\r\n",
	}
	for name, request := range cases {
		t.Run(name, func(t *testing.T) {
			before := store.calls.Load()
			got := responses(t, h.raw(request+nextRequest))
			if len(got) != 1 {
				t.Fatalf("%d responses: %+v", len(got), got)
			}
			got[0].problem(t, 400, "malformed")
			if got[0].header.Get("Connection") != "close" {
				t.Error("the connection is kept")
			}
			if n := store.calls.Load() - before; n != 0 {
				t.Errorf("the store was called %d times", n)
			}
		})
	}
	if !strings.Contains(h.get("/metrics").body, fmt.Sprintf("viakv_http_malformed_requests_total %d\n", len(cases))) {
		t.Error("the requests are not counted")
	}
}

// A body that is not looked at is not taken for the next request, nor is any part of a body that is
// looked at.
func TestBodiesEndWhereTheySay(t *testing.T) {
	inner := "GET /set?k=inner&v=1 HTTP/1.1\r\nHost: h\r\n\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n\r\n", len(inner))
	h := start(t, Config{})
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"a form":                   {formHead + "Content-Length: 7\r\n\r\n" + formBody, 200},
		"a length with zeros":      {formHead + "Content-Length: 0000000007\r\n\r\n" + formBody, 200},
		"a GET with a body":        {"GET /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\n" + length + inner, 200},
		"a GET of length zero":     {"GET /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 200},
		"a POST without a body":    {"POST /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\n\r\n", 200},
		"a HEAD with a body":       {"HEAD /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\n" + length + inner, 405},
		"a method that is refused": {"PUT /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\n" + length + inner, 405},
		"a type that is refused":   {"POST /set HTTP/1.1\r\nHost: h\r\n" + length + inner, 415},
		"a path that is none":      {"POST /nothing HTTP/1.1\r\nHost: h\r\n" + length + inner, 404},
	} {
		t.Run(name, func(t *testing.T) {
			h.get("/clear").want(t, 200, "*")
			raw := h.raw(c.request + nextRequest)
			// ReadResponse does not know that this answer has no body.
			if strings.HasPrefix(c.request, "HEAD") {
				i := strings.Index(raw, "\r\n\r\n") + 4
				raw = strings.Replace(raw[:i], "Content-Length", "Length-Of-Get", 1) + raw[i:]
				raw = strings.Replace(raw, "\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n", 1)
			}
			got := responses(t, raw)
			if len(got) != 2 || got[0].status != c.status || got[1].status != 200 {
				t.Fatalf("%+v", got)
			}
			want := `{"key":"next","value":"1"}`
			if c.status == 200 {
				want = `{"key":"a","value":"1"}` + "\n" + want
			}
			if all := h.get("/getAll?format=ndjson").body; !strings.HasPrefix(all, want+"\n{\"end\"") {
				t.Errorf("stored: %s", all)
			}
		})
	}
}

// A body in chunks ends its connection. fasthttp tolerates more behind the last chunk than other
// readers, which would see its end elsewhere.
func TestABodyInChunksIsTheLastOfItsConnection(t *testing.T) {
	inner := "GET /set?k=inner&v=1 HTTP/1.1\r\nHost: h\r\n\r\n"
	head := formHead + "Transfer-Encoding: chunked\r\n\r\n"
	last := head + "7\r\nk=a&v=1\r\n0\r\n"
	h := start(t, Config{})
	for name, request := range map[string]string{
		"a form":                  head + chunks,
		"in other letters":        formHead + "transfer-encoding: CHUNKED \r\n\r\n" + chunks,
		"chunks of many sizes":    head + "1\r\nk\r\n005\r\n=a&v=\r\n1\r\n1\r\n00\r\n\r\n",
		"extensions of chunks":    head + "7;a=b;c=\"d\"\r\nk=a&v=1\r\n0;e\r\n\r\n",
		"a blank behind a size":   head + "7 \t\r\nk=a&v=1\r\n0\r\n\r\n",
		"of a GET":                fmt.Sprintf("GET /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(inner), inner),
		"a trailer":               last + "X: y\r\n\r\n",
		"an end of bare LF":       last + "\n",
		"a trailer of bare LF":    last + "X: y\n\n",
		"a line of bare LF":       last + "X: y\nZ: b\r\n\r\n",
		"bare LF before the end":  last + "X: y\n\r\n",
		"a folded trailer":        last + "X: y\r\n b\r\n\r\n",
		"a space in a trailer":    last + "X y: b\r\n\r\n",
		"a trailer without value": last + "X\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			h.get("/clear").want(t, 200, "*")
			got := responses(t, h.raw(request+nextRequest))
			if len(got) != 1 || got[0].status != 200 && got[0].status != 400 || got[0].header.Get("Connection") != "close" {
				t.Fatalf("%+v", got)
			}
			want := ""
			if got[0].status == 200 {
				want = `{"key":"a","value":"1"}` + "\n"
			}
			if all := h.get("/getAll?format=ndjson").body; !strings.HasPrefix(all, want+"{\"end\"") {
				t.Errorf("stored: %s", all)
			}
		})
	}
}
