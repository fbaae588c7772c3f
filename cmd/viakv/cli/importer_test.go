package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"viakv/api/client"
	"viakv/api/pairs"
	"viakv/cmd/cliutil"
	"viakv/cmd/viakv/viakvtest"
)

func TestAnInterruptedImportSaysWhereItStands(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c, err := client.New(client.Config{Endpoints: []string{l.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := newImport(ctx, c, cliutil.NewBar(io.Discard, "", "", -1), false)
	if !w.write(7, exportedPair{"a", "1"}) || !w.write(8, exportedPair{"b", "2"}) {
		t.Fatal("not taken")
	}
	cancel()
	if resume, err := w.wait(9); resume != 7 || !errors.Is(err, context.Canceled) {
		t.Errorf("line %d, %v: want 7 and the interruption", resume, err)
	}
}

func TestPairsAreWrittenAsTheyCome(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	c, err := client.New(client.Config{Endpoints: []string{a}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := newImport(t.Context(), c, cliutil.NewBar(io.Discard, "", "", -1), false)
	for i := range int64(3) {
		key := fmt.Sprint(i)
		if !w.write(i+1, exportedPair{key, ""}) {
			t.Fatal("not taken")
		}
		for there := false; !there; { // though the input goes on
			if there, err = c.Has(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	if resume, err := w.wait(4); resume != 4 || err != nil {
		t.Errorf("line %d, %v", resume, err)
	}
}

// scriptedLoads is a node that has a fault for each load: the lines that it does not store, from 1,
// and those after the last of them that it does not try.
type scriptedLoads struct {
	mu     sync.Mutex
	faults []loadFault
	writes []string // keys and values, in the order in which they were stored
}

// loadFault is what becomes of a load that has the line.
type loadFault struct {
	line    int
	goesOn  bool // tries the lines behind
	stores  bool // stores the line, too
	silent  bool // closes the connection without an answer
	problem string
	status  int
}

func (s *scriptedLoads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for p := pairs.NewReader(r.Body, pairs.NDJSON); p.Next(); {
		lines = append(lines, string(p.Key())+"="+string(p.Value()))
	}
	if len(s.faults) == 0 || len(lines) < s.faults[0].line {
		s.writes = append(s.writes, lines...)
		_, _ = fmt.Fprintf(w, `{"stored":%d}`, len(lines))
		return
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	stored, next := append([]string(nil), lines[:f.line-1]...), ""
	if f.goesOn {
		stored = append(stored, lines[f.line:]...)
	} else if f.line < len(lines) {
		next = fmt.Sprintf(`"next":%d,`, f.line+1)
	}
	s.writes = append(s.writes, stored...)
	if f.stores {
		s.writes = append(s.writes, lines[f.line-1])
	}
	if f.silent {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(f.status)
	_, _ = fmt.Fprintf(w, `{"type":"urn:viakv:problem:%s","title":"T","status":%d,"detail":"D; %d values are stored","outcome":"unknown","stored":%d,%s"failed":[`+
		`{"first":%d,"last":%d,"type":"urn:viakv:problem:%s","outcome":"none"}]}`, f.problem, f.status, len(stored), len(stored), next, f.line, f.line, f.problem)
}

// With a line that may not be written, all later ones are written again, so that the later of two
// lines with one key stays.
func TestAnImportRepeatsFromTheFirstLineThatMayNotBeWritten(t *testing.T) {
	const n = 3000
	var content strings.Builder
	for i := range n {
		fmt.Fprintf(&content, `{"key":"key-%d","value":"%d"}`+"\n", i%1000, i)
	}
	node := &scriptedLoads{faults: []loadFault{
		{line: 1, silent: true}, {line: 1, stores: true, silent: true},
		{line: 5, goesOn: true, status: 503, problem: "unavailable"},
		{line: 7, stores: true, status: 503, problem: "unavailable"},
		{line: 9, goesOn: true, stores: true, silent: true},
	}}
	s := httptest.NewServer(node)
	wants(t, 0, "imported 3000 pairs", cli(t, content.String(), at(s.Listener.Addr().String(), "import", "--partial", "--force")...))
	s.Close()
	if len(node.faults) != 0 || len(node.writes) <= n {
		t.Fatalf("%d faults are left, %d writes", len(node.faults), len(node.writes))
	}
	have, last := map[string]string{}, -1
	for _, write := range node.writes {
		key, value, _ := strings.Cut(write, "=")
		have[key] = value
		i := 0
		if _, err := fmt.Sscan(value, &i); err != nil || i > last+2 { // one line may be written later
			t.Fatalf("line %d was written after line %d (%v)", i+1, last+1, err)
		}
		last = i
	}
	for i := range 1000 {
		if key := fmt.Sprint("key-", i); have[key] != fmt.Sprint(2000+i) {
			t.Errorf("%s=%s", key, have[key])
		}
	}
	// What repeating does not help is the end. The lines before are written.
	node = &scriptedLoads{faults: []loadFault{{line: 2, goesOn: true, status: 507, problem: "memory-limit"}}}
	full := httptest.NewServer(node)
	r := wants(t, exitRefused, "--from-line ", cli(t, content.String(), at(full.Listener.Addr().String(), "import", "--partial", "--force")...))
	full.Close()
	from := 0
	_, line, _ := strings.Cut(r.all, "--from-line ")
	if _, err := fmt.Sscan(line, &from); err != nil || from < 2 || strings.Contains(r.all, "outcome unknown") || strings.Contains(r.all, "values are stored") {
		t.Error(r.all)
	}
	for i := range from - 1 {
		if node.writes[i] != fmt.Sprintf("key-%d=%d", i, i) {
			t.Errorf("line %d: %s", i+1, node.writes[i])
		}
	}
}

func TestOfTwoMissingLinesWithOneKeyTheFirstIsWritten(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `{"key":"key-%d","value":"%d"}`+"\n", i%10, i)
	}
	wants(t, 0, "imported 10 pairs; 990 keys were there", cli(t, b.String(), at(a, "import", "--partial", "--missing")...))
	viakvtest.Expect(t, http.StatusOK, "7", a, "/get", "k", "key-7")
}
