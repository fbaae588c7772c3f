package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"viakv/api/kv"
	"viakv/api/pairs"
	"viakv/cmd/viakv/viakvtest"
)

// exportOf returns the content of an export of these pairs.
func exportOf(t *testing.T, pairs map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for k, v := range pairs {
		if err := e.Encode(exportedPair{k, v}); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Encode(exportedEnd{true, int64(len(pairs))}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pairsOf(t *testing.T, export []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	p := pairs.NewReader(bytes.NewReader(export), pairs.NDJSON)
	for p.Next() {
		out[string(p.Key())] = string(p.Value())
	}
	if err := whole(p, false); err != nil || int64(len(out)) != p.Pairs() {
		t.Fatalf("%v after %d different keys in %d pairs", err, len(out), p.Pairs())
	}
	return out
}

func TestAnExportImportedElsewhereIsTheSame(t *testing.T) {
	t.Parallel()
	n := 100_000
	if testing.Short() {
		n = 2_000
	}
	want := map[string]string{}
	for i := range n {
		want[fmt.Sprintf("user/%06d", i)] = fmt.Sprintf("value %d", i)
	}
	for _, k := range oddKeys {
		want[k] = "value of " + k
	}
	want["empty"] = ""
	dir := t.TempDir()
	made, exported := filepath.Join(dir, "made"), filepath.Join(dir, "exported")
	if err := os.WriteFile(made, exportOf(t, want), 0o600); err != nil {
		t.Fatal(err)
	}
	a, _ := viakvtest.Serve(t, "node-a")
	wants(t, 0, fmt.Sprintf("imported %d pairs", len(want)), ask(t, a, "import", made))
	wants(t, 0, fmt.Sprintf("exported %d pairs to", len(want)), ask(t, a, "export", exported, "--snapshot"))
	content, err := os.ReadFile(exported)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(pairsOf(t, content), want) {
		t.Error("the export differs from what was imported")
	}
	if info, err := os.Stat(exported); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v: want a file for its owner alone", info.Mode(), err)
	}

	b, _ := viakvtest.Serve(t, "node-b")
	wants(t, 0, fmt.Sprintf(`"pairs":%d`, len(want)), compact(cli(t, string(content), at(b, "import", "-o", "json")...)))
	r := wants(t, 0, fmt.Sprintf("exported %d pairs", len(want)), ask(t, b, "export"))
	if !maps.Equal(pairsOf(t, []byte(r.out)), want) {
		t.Error("the second export differs from the first")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// compact removes the spaces from what a command printed as JSON.
func compact(r result) result {
	r.all = strings.NewReplacer(" ", "", "\n", "").Replace(r.all)
	return r
}

func TestImportIntoAClusterThatHoldsKeys(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	wants(t, 0, "", ask(t, a, "set", "mine", "1"))
	content := string(exportOf(t, map[string]string{"mine": "2", "other": "3"}))
	wants(t, exitRefused, "--force", cli(t, content, at(a, "import")...))
	viakvtest.Expect(t, http.StatusOK, `{"mine":"1"}`, a, "/getAll")
	for range 2 { // the second time changes nothing
		wants(t, 0, "imported 2 pairs", cli(t, content, at(a, "import", "--force")...))
		viakvtest.Expect(t, http.StatusOK, "2", a, "/get", "k", "mine")
		viakvtest.Expect(t, http.StatusOK, "3", a, "/get", "k", "other")
	}
}

func TestImportOfWhatIsMissing(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	wants(t, 0, "", ask(t, a, "set", "mine", "1"))
	content := string(exportOf(t, map[string]string{"mine": "2", "other": "3", "more": "4"}))
	wants(t, 0, "imported 2 pairs; 1 keys were there\n", cli(t, content, at(a, "import", "--missing")...))
	for key, value := range map[string]string{"mine": "1", "other": "3", "more": "4"} {
		viakvtest.Expect(t, http.StatusOK, value, a, "/get", "k", key)
	}
	wants(t, 0, `{"pairs":0,"there":3}`, compact(cli(t, content, at(a, "import", "--missing", "-o", "json")...)))
	full := before(t, a, "/setAll", func(int64) (int, string) { return http.StatusInsufficientStorage, memoryLimit })
	wants(t, exitRefused, "repeat with --missing --from-line 1", cli(t, `{"key":"new","value":"1"}`, at(full, "import", "--missing", "--partial")...))

	// What an import has written itself, without an answer that says so, was not there.
	lost := before(t, a, "/setAll", func(load int64) (int, string) {
		if load > 1 {
			return 0, ""
		}
		viakvtest.Expect(t, http.StatusOK, "", a, "/set", "k", "late", "v", "5")
		return http.StatusServiceUnavailable, `{"type":"urn:viakv:problem:unavailable","title":"Unavailable","status":503,"outcome":"unknown"}`
	})
	wants(t, 0, "imported 1 pairs; 0 keys were there\n", cli(t, `{"key":"late","value":"5"}`, at(lost, "import", "--missing", "--partial")...))
}

// An import that looks for keys asks again where that may help. It goes through more keys than a
// chunk or a request has.
func TestAnImportLooksForKeysAgain(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	have, all := map[string]string{}, map[string]string{}
	for i := range 3 * importChunk / 2 {
		key := fmt.Sprint("key-", i)
		if all[key] = "new"; i%3 == 0 {
			have[key] = "old"
		}
	}
	wants(t, 0, "imported", cli(t, string(exportOf(t, have)), at(a, "import")...))
	var looks atomic.Int64
	busy := before(t, a, "/getMany", func(look int64) (int, string) {
		looks.Store(look)
		if look != 2 {
			return 0, ""
		}
		return http.StatusServiceUnavailable, `{"type":"urn:viakv:problem:unavailable","title":"Unavailable","status":503,"outcome":"none"}`
	})
	wants(t, 0, fmt.Sprintf("imported %d pairs; %d keys were there\n", len(all)-len(have), len(have)), cli(t, string(exportOf(t, all)), at(busy, "import", "--missing")...))
	viakvtest.Expect(t, http.StatusOK, "old", a, "/get", "k", "key-3")
	viakvtest.Expect(t, http.StatusOK, "new", a, "/get", "k", "key-4")
	if n := looks.Load(); n < 7 {
		t.Errorf("%d looks", n)
	}
	other := before(t, a, "/getMany", func(int64) (int, string) { return http.StatusNotFound, "no such page" })
	wants(t, exitRefused, "repeat with --missing --from-line 1", cli(t, `{"key":"new","value":"1"}`, at(other, "import", "--missing", "--partial")...))
}

func TestOfTwoLinesWithOneKeyTheLaterStays(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	var b strings.Builder
	const n = 500
	for i := range n {
		fmt.Fprintf(&b, `{"key":"counter","value":"%d"}`+"\n", i)
	}
	wants(t, 0, "imported 500 pairs", cli(t, b.String(), at(a, "import", "--partial")...))
	viakvtest.Expect(t, http.StatusOK, fmt.Sprint(n-1), a, "/get", "k", "counter")
}

func TestAFileThatIsNoExportWritesNothing(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	const pair, end = `{"key":"a","value":"1"}` + "\n", `{"end":true,"count":1}` + "\n"
	file := filepath.Join(t.TempDir(), "file")
	for name, c := range map[string]struct{ content, says string }{
		"cut":               {pair, "--partial"},
		"cut in a line":     {pair + `{"key":"b"`, "line 2: the input ends in the middle of the line"},
		"short":             {pair + `{"end":true,"count":2}`, "counts 2 pairs, and 1 came before it"},
		"more":              {pair + end + pair, "line 3: there is more"},
		"no JSON":           {pair + "key,value\n", "line 2"},
		"no pair":           {`{"key":"a"}` + "\n" + end, "want {"},
		"not UTF-8":         {"{\"key\":\"\xff\",\"value\":\"\"}\n" + end, "not UTF-8"},
		"half a character":  {`{"key":"\ud83d","value":""}` + "\n" + end, "surrogate"},
		"two halves apart":  {`{"key":"\ude00\ud83d","value":""}` + "\n" + end, "surrogate"},
		"half and a letter": {`{"key":"\ud83dx","value":""}` + "\n" + end, "surrogate"},
		"empty key":         {`{"key":"","value":""}` + "\n" + end, "the key is empty"},
		"long key":          {`{"key":"` + strings.Repeat("k", kv.MaxKeyCharacters+1) + `","value":""}` + "\n" + end, "the limit is 64"},
		"long value":        {`{"key":"a","value":"` + strings.Repeat("v", kv.MaxValueCharacters+1) + `"}` + "\n" + end, "the limit is 256"},
		"long line":         {`{"key":"a","value":"` + strings.Repeat("v", 64<<10) + `"}` + "\n" + end, "line 1"},
	} {
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := wants(t, exitUsage, c.says, ask(t, a, "import", file)); !strings.Contains(r.all, "nothing was written") {
			t.Errorf("%s: %s", name, r.all)
		}
	}
	viakvtest.Expect(t, http.StatusOK, "{}", a, "/getAll")
	wants(t, exitUsage, "the 1 pairs before are written", cli(t, pair, at(a, "import")...))
	wants(t, 0, "imported 1 pairs", cli(t, "\n"+pair+"\n", at(a, "import", "--partial", "--force")...))
	odd := `{"key":"\uD83D\ude00\\ud83d\n","value":"\ufffd","version":"of another program"}` + "\n" + end
	wants(t, 0, "imported 1 pairs", cli(t, odd, at(a, "import", "--force")...))
	viakvtest.Expect(t, http.StatusOK, "\uFFFD", a, "/get", "k", "😀\\ud83d\n")
}

// memoryLimit is the answer of a node that is full.
const memoryLimit = `{"type":"urn:viakv:problem:memory-limit","title":"Memory limit reached","status":507,"detail":"raise --max-memory","outcome":"none"}`

// before starts a proxy before a node. It calls refuse with the number of each request for a path,
// from 1. If refuse returns a status, the proxy answers with that instead of the node.
func before(t *testing.T, node, path string, refuse func(request int64) (status int, problem string)) string {
	t.Helper()
	var requests atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: node})
	// An import that fails ends its requests, which the proxy would log.
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			if status, problem := refuse(requests.Add(1)); status != 0 {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, problem)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestAnImportThatFailedGoesOnFromTheLineThatItNames(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	const n = 20_000 // at least five loads
	var content strings.Builder
	for i := range n {
		fmt.Fprintf(&content, `{"key":"key-%d","value":"%d"}`+"\n", i, i)
	}
	fmt.Fprintf(&content, `{"end":true,"count":%d}`+"\n", n)
	full := before(t, a, "/setAll", func(load int64) (int, string) {
		if load <= 3 {
			return 0, ""
		}
		return http.StatusInsufficientStorage, memoryLimit
	})
	r := wants(t, exitRefused, "raise --max-memory", cli(t, content.String(), at(full, "import")...))
	_, line, found := strings.Cut(r.all, "--from-line ")
	if !found {
		t.Fatal(r.all)
	}
	var from int
	if _, err := fmt.Sscan(line, &from); err != nil || from < 4 || from > 3*importChunk+1 {
		t.Fatalf("%q: want a line after the first, and none of those that were never sent", line)
	}
	wants(t, 0, fmt.Sprintf("imported %d pairs", n-from+1), cli(t, content.String(), at(a, "import", "--force", "--from-line", fmt.Sprint(from))...))
	if r := ask(t, a, "export"); len(pairsOf(t, []byte(r.out))) != n {
		t.Error("pairs are missing")
	}
}

func TestAnImportRepeatsWhatAnOverloadedNodeRefuses(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	var refused atomic.Int64
	busy := before(t, a, "/setAll", func(load int64) (int, string) {
		if load > 3 {
			return 0, ""
		}
		refused.Add(1)
		return http.StatusServiceUnavailable, `{"type":"urn:viakv:problem:unavailable","title":"Unavailable","status":503,"outcome":"unknown"}`
	})
	wants(t, 0, "imported 1 pairs", cli(t, `{"key":"a","value":"1"}`, at(busy, "import", "--partial")...))
	viakvtest.Expect(t, http.StatusOK, "1", a, "/get", "k", "a")
	if refused.Load() != 3 {
		t.Error("the proxy refused nothing")
	}
}

func TestACutExportLeavesTheOldFile(t *testing.T) {
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"key":"a","value":"1"}`+"\n")
	}))
	t.Cleanup(cut.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, exitUnavailable, "not everything", ask(t, cut.Listener.Addr().String(), "export", file))
	if b, err := os.ReadFile(file); err != nil || string(b) != "old" {
		t.Errorf("%q %v: want the old file", b, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%v: want nothing left behind", files)
	}
}
