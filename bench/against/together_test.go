package main

import (
	"bufio"
	"strings"
	"testing"

	"viakv/bench/runner"
)

// An answer to many gets counts only if it has each key that was asked for, and no other.
func TestAnswersToManyGets(t *testing.T) {
	head := func(status, body string) string {
		return "HTTP/1.1 " + status + "\r\nContent-Length: " + string(rune('0'+len(body)/10)) + string(rune('0'+len(body)%10)) + "\r\n\r\n" + body
	}
	a, b := runner.OK, runner.Missing
	for name, c := range map[string]struct {
		answer string
		want   []runner.Outcome // of a, b, a; none: an error
	}{
		"whole":      {head("200 OK", `{"a":"1",`+"\n"+`"b":null}`+"\n"), []runner.Outcome{a, b, a}},
		"empty":      {head("200 OK", `{"a":"",`+"\n"+`"b":"x"}`+"\n"), []runner.Outcome{a, a, a}},
		"one is not": {head("200 OK", `{"a":"1"}`+"\n"), nil},
		"another":    {head("200 OK", `{"a":"1",`+"\n"+`"bb":"2"}`+"\n"), nil},
		"more":       {head("200 OK", `{"a":"1",`+"\n"+`"b":null,`+"\n"+`"c":"3"}`+"\n"), nil},
		"refused":    {head("503 X", "busy"), nil},
		"cut":        {"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", nil},
	} {
		c0 := &manyConnection{speaks: speakGetMany(), reader: bufio.NewReader(strings.NewReader(c.answer))}
		c0.sent = [][][]byte{{[]byte("a"), []byte("b"), []byte("a")}}
		var got []runner.Outcome
		var err error
		for len(c0.sent) > 0 && err == nil {
			var answer runner.Answer
			answer, err = c0.Receive()
			got = append(got, answer.Outcome)
		}
		switch {
		case c.want == nil && err == nil, c.want != nil && err != nil:
			t.Errorf("%s: %v, %v", name, got, err)
		case c.want != nil && (len(got) != 3 || got[0] != c.want[0] || got[1] != c.want[1] || got[2] != c.want[2]):
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
