package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"viakv/api/document"
	"viakv/cmd/viakv/viakvtest"
)

func TestEventsTellWhatANodeHasSeen(t *testing.T) {
	a, meeting := viakvtest.Serve(t, "node-a")
	b, _ := viakvtest.Serve(t, "node-b")
	viakvtest.Await(t, "the first events", func() bool { return strings.Contains(ask(t, a, "events").out, "serving: node-a is the only member") })
	wants(t, 0, "node-b is a member", ask(t, b, "member", "join", meeting))
	viakvtest.Await(t, "the join among the events", func() bool { return strings.Contains(ask(t, a, "events").out, "member-joined") })

	// The table: a head, then a line for each event, in the order of the node's own list.
	lines := strings.Split(strings.TrimSpace(wants(t, 0, "", ask(t, a, "events")).out), "\n")
	if want := regexp.MustCompile(`^TIME +EVENT +MEMBER +WHAT$`); !want.MatchString(lines[0]) {
		t.Errorf("the head is %q", lines[0])
	}
	local := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  `)
	find := func(want string) int {
		for i, line := range lines[1:] {
			if !local.MatchString(line) {
				t.Errorf("no local time in %q", line)
			}
			if regexp.MustCompile(want).MatchString(line) {
				return i
			}
		}
		t.Fatalf("no line matches %s:\n%s", want, strings.Join(lines, "\n"))
		return -1
	}
	entered := find(`  entered +-  +node-a is part of cluster [0-9a-f]+, which has 1 member$`)
	if joined := find(`  member-joined +node-b +node-b is a member$`); joined < entered {
		t.Errorf("the newest event is not the last:\n%s", strings.Join(lines, "\n"))
	}

	var all, last []document.Event
	if r := ask(t, a, "events", "-o", "json"); json.Unmarshal([]byte(r.out), &all) != nil || len(all) < 4 || all[0].Sequence != 1 || all[0].At.IsZero() {
		t.Fatalf("events -o json: %s", r.out)
	}
	if r := ask(t, a, "events", "-n", "2", "-o", "json"); json.Unmarshal([]byte(r.out), &last) != nil || len(last) != 2 || last[1].Sequence < all[len(all)-1].Sequence {
		t.Errorf("events -n 2: %s", r.out)
	}
	if at := last[0].At; at.Location() != time.UTC {
		t.Errorf("%v is not in UTC", at)
	}
}

func TestANodeThatHasSeenNothingSaysSo(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"mode":"lone","self":"node-a"}`)
	}))
	defer node.Close()
	at := node.Listener.Addr().String()
	r := wants(t, 0, "TIME  EVENT  MEMBER  WHAT\n", ask(t, at, "events"))
	if !strings.Contains(r.err, "node-a has seen no change") {
		t.Errorf("standard error: %s", r.err)
	}
	wants(t, 0, "[]\n", ask(t, at, "events", "-o", "json"))
}
