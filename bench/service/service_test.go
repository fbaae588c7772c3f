package service_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"viakv/bench/service"
)

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func do(t testing.TB, method, url, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(b)}
}

type state struct {
	Runs []struct{ ID, State, Fault string }
	Past []struct {
		ID, Reason string
		Passed     bool
	}
	Defaults map[string]any
}

func look(t testing.TB, url string) (s state) {
	t.Helper()
	if err := json.Unmarshal([]byte(do(t, "GET", url+"/api/state", "").body), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func submit(t testing.TB, url, target, more string) string {
	t.Helper()
	a := do(t, "POST", url+"/api/runs", fmt.Sprintf(`{"scenario":"run","targets":[%q],"keys":100,"connections":2,"warmup":"0s","maxMisses":100%s}`, target, more))
	var run struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &run); err != nil || a.status != 202 || run.ID == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return run.ID
}

func stateOf(t testing.TB, url, id string) string {
	t.Helper()
	for _, r := range look(t, url).Runs {
		if r.ID == id {
			return r.State
		}
	}
	return ""
}

func TestRunsGoOneAfterTheOtherAndAreKept(t *testing.T) {
	dir, to := t.TempDir(), target(t)
	url := start(t, service.Config{Dir: dir})
	if d := look(t, url).Defaults; len(d) != 6 {
		t.Errorf("%d scenarios", len(d))
	}
	first := submit(t, url, to, `,"duration":"10m","rate":200`)
	second := submit(t, url, to, `,"duration":"300ms"`)
	third := submit(t, url, to, `,"duration":"10m"`)
	eventually(t, "the first runs", func() bool { return stateOf(t, url, first) == "running" })
	if s := stateOf(t, url, second); s != "queued" { // V1
		t.Errorf("the second is %s", s)
	}
	if a := do(t, "POST", url+"/api/runs/"+third+"/stop", "{}"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if s := stateOf(t, url, third); s != "stopped" {
		t.Errorf("the third is %s", s)
	}
	// The events of the running run have its samples.
	response, err := http.Get(url + "/api/runs/" + first + "/events")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && !strings.Contains(lines.Text(), `"samples":[{`) {
	}
	response.Body.Close()
	if lines.Err() != nil {
		t.Error(lines.Err())
	}
	if a := do(t, "POST", url+"/api/runs/"+first+"/stop", "{}"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	eventually(t, "both are kept", func() bool { return len(look(t, url).Past) == 2 })
	past := look(t, url).Past
	if past[0].ID != second || !past[0].Passed || past[1].Passed || !strings.Contains(past[1].Reason, "stopped before its end") {
		t.Errorf("got %+v", past)
	}
	for form, kind := range map[string]string{"html": "text/html", "json": "application/json", "csv": "text/csv", "hgrm": "text/plain"} {
		a := do(t, "GET", url+"/reports/"+second+"."+form, "")
		if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), kind) || len(a.body) == 0 {
			t.Errorf("%s: %d %s", form, a.status, a.header.Get("Content-Type"))
		}
	}
	if a := do(t, "GET", url+"/api/compare?before="+first+"&after="+second, ""); a.status != 200 || !strings.Contains(a.body, "throughput") {
		t.Errorf("%d %s", a.status, a.body)
	}

	// A run that is over has the numbers of its report, not those of its last second.
	events := do(t, "GET", url+"/api/runs/"+second+"/events", "").body
	var seen struct {
		Verdict string
		Whole   struct {
			Rate                            float64
			P99, Requests, Missing, Lookups int64
		}
	}
	var kept struct {
		Load struct {
			Good, Missing int64
			Throughput    float64
			Latency       struct{ P99 int64 }
		}
	}
	data, _, _ := strings.Cut(strings.TrimPrefix(events, "data: "), "\n")
	if err := errors.Join(json.Unmarshal([]byte(data), &seen), json.Unmarshal([]byte(do(t, "GET", url+"/reports/"+second+".json", "").body), &kept)); err != nil {
		t.Fatal(err)
	}
	if w, l := seen.Whole, kept.Load; seen.Verdict != "passed" || l.Good == 0 || w.Rate != l.Throughput || w.P99 != l.Latency.P99 || w.Requests != l.Good || w.Missing != l.Missing ||
		w.Missing == 0 || w.Lookups < w.Missing {
		t.Errorf("the page is told %+v, and the report has %+v", seen, kept)
	}

	again := start(t, service.Config{Dir: dir}) // V5
	if past := look(t, again).Past; len(past) != 2 {
		t.Errorf("after a restart: %+v", past)
	}
	if a := do(t, "DELETE", again+"/api/runs/"+second, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, second+".*")); len(left) > 0 || len(look(t, again).Past) != 1 {
		t.Errorf("after a removal: %v", left)
	}
}

func TestWhatCannotBeRunSaysWhy(t *testing.T) {
	url := start(t, service.Config{MaxDuration: time.Minute, MaxQueue: 1})
	id := submit(t, url, "http://127.0.0.1:1", "")
	eventually(t, "the run has failed", func() bool { return stateOf(t, url, id) == "failed" })
	if fault := look(t, url).Runs[0].Fault; !strings.Contains(fault, "cannot be reached") {
		t.Errorf("got %q", fault)
	}
	for body, want := range map[string]string{
		`nonsense`:                      "no JSON",
		`{"scenario":"fly"}`:            "choose one of",
		`{"scenario":"run"}`:            "no target",
		`{"scenario":"run","speed":1}`:  "unknown field",
		`{"scenario":"run","rate":"x"}`: "rate",
		`{"scenario":"run","targets":["http://127.0.0.1:1"],"duration":"2h"}`:               "1m0s at most",
		`{"scenario":"run","targets":["http://192.0.2.1"],"allowRemote":true}`:              "allow-remote",
		`{"scenario":"run","targets":["http://127.0.0.1:1"],"connections":1000000}`:         "connections",
		`{"scenario":"check","targets":["http://127.0.0.1:1"],"clients":20,"activeKeys":1}`: "ten clients",
	} {
		if a := do(t, "POST", url+"/api/runs", body); a.status < 400 || a.status > 499 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	for _, path := range []string{"/reports/none.html", "/reports/x.exe", "/reports/..%2f..%2fetc%2fpasswd", "/api/runs/none/events", "/api/compare?before=a&after=b", "/nowhere"} {
		if a := do(t, "GET", url+path, ""); a.status != 404 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := do(t, "POST", url+"/api/runs/none/stop", "{}"); a.status != 404 {
		t.Errorf("%d", a.status)
	}
	if a := do(t, "DELETE", url+"/api/runs/none", ""); a.status != 404 {
		t.Errorf("%d", a.status)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	to := target(t)
	url := start(t, service.Config{MaxQueue: 2})
	// One that runs and two that wait.
	for range 3 {
		submit(t, url, to, `,"duration":"10m","rate":10`)
	}
	a := do(t, "POST", url+"/api/runs", fmt.Sprintf(`{"scenario":"run","targets":[%q]}`, to))
	if a.status != 429 || !strings.Contains(a.body, "queue is full") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestOtherSitesGetNothing checks V4.
func TestOtherSitesGetNothing(t *testing.T) {
	url := start(t, service.Config{Hosts: []string{"bench.example"}})
	for name, c := range map[string]struct {
		status  int
		headers []string
	}{
		"another origin":     {403, []string{"Origin", "https://evil.example"}},
		"null origin":        {403, []string{"Origin", "null"}},
		"cross-site":         {403, []string{"Sec-Fetch-Site", "cross-site"}},
		"same site":          {403, []string{"Sec-Fetch-Site", "same-site"}},
		"a form":             {415, []string{"Content-Type", "text/plain"}},
		"a rebound name":     {403, []string{"Host", "evil.example"}},
		"its own page":       {404, []string{"Origin", url, "Sec-Fetch-Site", "same-origin"}},
		"a name it was told": {404, []string{"Host", "bench.example:80"}},
	} {
		if a := do(t, "POST", url+"/api/runs/none/stop", "{}", c.headers...); a.status != c.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := do(t, "GET", url+"/api/state", "", "Host", "evil.example"); a.status != 403 {
		t.Errorf("a rebound name reads: %d", a.status)
	}
	page := do(t, "GET", url+"/", "")
	if policy := page.header.Get("Content-Security-Policy"); page.status != 200 || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("%d, policy %q", page.status, policy)
	}
	for _, file := range []string{"app.js", "form.js", "plot.js", "style.css", "icon.svg"} {
		a := do(t, "GET", url+"/assets/"+file, "")
		if a.status != 200 || strings.Contains(strings.ReplaceAll(a.body, "http://www.w3.org/2000/svg", ""), "http") {
			t.Errorf("%s: %d, or it names another site", file, a.status)
		}
	}
	if a := do(t, "POST", url+"/api/runs", strings.Repeat(" ", 70<<10)); a.status != 400 {
		t.Errorf("a body too large: %d", a.status)
	}
}

func TestADirectoryThatCannotBe(t *testing.T) {
	if _, err := service.New(service.Config{}); err == nil {
		t.Error("no directory was accepted")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := service.New(service.Config{Dir: file}); err == nil {
		t.Error("a file was accepted")
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"broken.json": "{", "Not An Id.json": "{}", "other.txt": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if past := look(t, start(t, service.Config{Dir: dir})).Past; len(past) != 0 {
		t.Errorf("files that are no reports are listed: %+v", past)
	}
}
