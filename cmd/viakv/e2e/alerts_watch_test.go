//go:build alerts

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"viakv/bench/chaos"
	"viakv/cmd/viakv/viakvtest"
)

// watch scrapes nodes as Prometheus does, and lets promtool evaluate docs/monitoring/alerts.yml on
// what it has seen. What it has seen is a part of a longer history:
//
//   - for quiet, the nodes show what they showed at first;
//   - then come the real samples, at their real times;
//   - for long, what the nodes showed in the steady part goes on: counters rise at the rate that
//     was observed there, and gauges stay. A node that did not answer does not answer.
//
// So a test takes seconds where a rule takes a quarter of an hour.
type watch struct {
	t     *testing.T
	began time.Time
	used  map[string]bool // the metrics that the rules use

	mu      sync.Mutex
	targets []target
	rows    map[string]*row // by series
	steady  int             // the second in which the steady part began
	last    int             // the second of the last scrape
	scrapes int             // that have ended
	rising  map[string]bool // gauges that go on rising, by metric
	long    int             // seconds

	stop, stopped chan struct{}
}

// target is one node that is scraped.
type target struct {
	name, address string
	client        *http.Client
}

// row is what a series has shown, by second.
type row struct {
	counter bool
	seconds []int
	values  []string // a number, or ended
	shown   bool     // in the present scrape
}

const (
	// ended stands where a series was missing for the first time.
	ended = "stale"
	// quiet is longer than the longest range of a rule.
	quiet = 16 * 60
	// usually is how many seconds the steady part goes on. It is longer than the longest time that
	// a rule waits, with its range.
	usually = 20 * 60
	// scrapeTime bounds one scrape. A process that is paused takes all of it.
	scrapeTime = 2 * time.Second
	// steadyTime is how long the steady part is watched.
	steadyTime = 5 * time.Second
)

// newWatch scrapes every second from now on. The arguments are names and addresses in turn.
func newWatch(t *testing.T, targets ...string) *watch {
	t.Helper()
	w := &watch{t: t, began: time.Now(), used: map[string]bool{}, rows: map[string]*row{}, rising: map[string]bool{}, long: usually,
		stop: make(chan struct{}), stopped: make(chan struct{})}
	for _, metric := range regexp.MustCompile(`viakv_[a-z_]+`).FindAllString(string(viakvtest.Shipped(t, "docs/monitoring/alerts.yml")), -1) {
		w.used[metric] = true
	}
	w.used["viakv_removes_contended_total"] = true
	for i := 0; i < len(targets); i += 2 {
		w.add(targets[i], targets[i+1])
	}
	w.scrape()
	go w.run()
	t.Cleanup(w.end)
	return w
}

// watchMesh watches the nodes of a mesh from the moment when all of them find it whole.
func watchMesh(m *mesh) *watch {
	m.t.Helper()
	var targets []string
	for _, n := range m.names {
		targets = append(targets, n, m.nodes[n].http)
	}
	whole(m.t, targets...)
	return newWatch(m.t, targets...)
}

// watchLab watches the members of a lab in the same way.
func watchLab(t *testing.T, l *chaos.Lab, n int) *watch {
	t.Helper()
	var targets []string
	for i := range n {
		targets = append(targets, string(rune('a'+i)), l.HTTP(i))
	}
	whole(t, targets...)
	return newWatch(t, targets...)
}

// whole waits until all nodes say that all members serve and can change.
func whole(t *testing.T, targets ...string) {
	t.Helper()
	for i := 1; i < len(targets); i += 2 {
		viakvtest.Await(t, targets[i-1]+" to find the mesh whole", func() bool {
			h := viakvtest.ClusterOf(t, targets[i]).Health
			return h.Verdict == "serving" && h.CanChange
		})
	}
}

// add scrapes one more node. Its connection is kept.
func (w *watch) add(name, address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	w.t.Cleanup(transport.CloseIdleConnections)
	w.targets = append(w.targets, target{name, address, &http.Client{Timeout: scrapeTime, Transport: transport}})
}

// drop scrapes a node no more.
func (w *watch) drop(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.targets = slices.DeleteFunc(w.targets, func(g target) bool { return g.name == name })
}

// settle waits until what is the case now was scraped.
func (w *watch) settle() {
	w.t.Helper()
	w.mu.Lock()
	begun := w.scrapes + 1 // a scrape may be under way
	w.mu.Unlock()
	viakvtest.Await(w.t, "a scrape", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.scrapes > begun
	})
}

func (w *watch) run() {
	defer close(w.stopped)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
			w.scrape()
		}
	}
}

// end ends the scraping. It may be called again.
func (w *watch) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	<-w.stopped
}

// scrape asks all nodes once, at the same time.
func (w *watch) scrape() {
	second := int(time.Since(w.began) / time.Second)
	w.mu.Lock()
	targets := slices.Clone(w.targets)
	w.mu.Unlock()
	pages := make([]string, len(targets))
	var asking sync.WaitGroup
	for i, target := range targets {
		asking.Go(func() { pages[i] = target.page() })
	}
	asking.Wait()

	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.scrapes = second, w.scrapes+1
	for _, r := range w.rows {
		r.shown = false
	}
	for i, target := range targets {
		up := "1"
		if pages[i] == "" {
			up = "0"
		}
		w.note(fmt.Sprintf("up{job=%q,instance=%q}", "viakv", target.name), up, false, second)
		w.read(target.name, pages[i], second)
	}
	for _, r := range w.rows {
		if !r.shown && r.values[len(r.values)-1] != ended {
			r.append(second, ended)
		}
	}
}

// page returns a node's metrics. It is empty when the node does not answer.
func (g *target) page() string {
	answer, err := g.client.Get("http://" + g.address + "/metrics")
	if err != nil {
		return ""
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// read notes the samples of a page.
func (w *watch) read(instance, page string, second int) {
	counter := false
	for line := range strings.SplitSeq(page, "\n") {
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			counter = strings.HasSuffix(kind, " counter") || strings.HasSuffix(kind, " histogram")
		}
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || line[0] == '#' {
			continue
		}
		series, value := line[:end], line[end+1:]
		metric, labels, _ := strings.Cut(series, "{")
		if !w.used[metric] {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil || number != number {
			w.t.Errorf("%s shows %s", instance, line)
			continue
		}
		labels = strings.TrimSuffix(labels, "}")
		if labels != "" {
			labels += ","
		}
		w.note(fmt.Sprintf("%s{%sjob=%q,instance=%q}", metric, labels, "viakv", instance), strconv.FormatFloat(number, 'f', -1, 64), counter, second)
	}
}

func (w *watch) note(series, value string, counter bool, second int) {
	r := w.rows[series]
	if r == nil {
		r = &row{counter: counter}
		w.rows[series] = r
	}
	r.shown = true
	r.append(second, value)
}

func (r *row) append(second int, value string) {
	if n := len(r.seconds); n > 0 && r.seconds[n-1] == second {
		r.values[n-1] = value
		return
	}
	r.seconds, r.values = append(r.seconds, second), append(r.values, value)
}

// hold watches the steady part: what is the case now goes on. On a busy machine a member may seem
// away for a moment. So the part begins anew when what a node says of the members has changed in
// it.
func (w *watch) hold() {
	w.t.Helper()
	w.begin()
	viakvtest.Await(w.t, "a part in which nothing changes", func() bool {
		w.mu.Lock()
		over, changed := w.last >= w.steady+int(steadyTime/time.Second), w.changed()
		w.mu.Unlock()
		if changed != "" {
			w.t.Logf("begin the steady part anew: %s", changed)
			w.begin()
		}
		return over && changed == ""
	})
}

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steady = int(time.Since(w.began)/time.Second) + 1
}

// changed returns what nodes say of the members and has changed in the steady part. Epochs may go
// on, as with each collection of tombstones, but the nodes must not begin or cease to agree.
func (w *watch) changed() string {
	first, last := map[string]bool{}, map[string]bool{} // epochs
	for series, r := range w.rows {
		metric, _, _ := strings.Cut(series, "{")
		if metric != "up" && metric != "viakv_node_active" && metric != "viakv_member_reachable" && !strings.HasPrefix(metric, "viakv_cluster_") {
			continue
		}
		seen := ""
		for i, second := range r.seconds {
			switch {
			case second < w.steady:
				continue
			case seen == "":
				seen = r.values[i]
			case metric != "viakv_cluster_epoch" && r.values[i] != seen:
				return series
			}
		}
		if metric == "viakv_cluster_epoch" && seen != "" {
			first[seen], last[r.values[len(r.values)-1]] = true, true
		}
	}
	if len(first) != len(last) {
		return "how many epochs there are"
	}
	return ""
}

// rise makes a gauge go on as a counter does.
func (w *watch) rise(metric string) { w.rising[metric] = true }

// pretend changes what the nodes have shown of a metric at last, where no real process can be
// brought to show it.
func (w *watch) pretend(metric, value string) {
	w.end()
	for series, r := range w.rows {
		if strings.HasPrefix(series, metric+"{") {
			r.values[len(r.values)-1] = value
		}
	}
}

// rates returns by how much a metric rose each second of the steady part, at each instance that has
// shown it.
func (w *watch) rates(metric string) map[string]float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	instance := regexp.MustCompile(`instance="([^"]*)"`)
	rates := map[string]float64{}
	for series, r := range w.rows {
		if name, _, _ := strings.Cut(series, "{"); name == metric {
			rates[instance.FindStringSubmatch(series)[1]] += w.rate(r)
		}
	}
	return rates
}

// history returns a series as promtool reads it: a value for each second, or several in a row as
// their start, step and number.
func (w *watch) history(r *row, rises bool) string {
	var out strings.Builder
	if r.seconds[0] == 0 {
		fmt.Fprintf(&out, "%s+0x%d ", r.values[0], quiet-1)
	} else {
		fmt.Fprintf(&out, "_x%d ", quiet)
	}
	next := 0
	for i, second := range r.seconds {
		if second > next {
			fmt.Fprintf(&out, "_x%d ", second-next)
		}
		out.WriteString(r.values[i] + " ")
		next = second + 1
	}
	last := r.values[len(r.values)-1]
	if last == ended {
		return out.String()
	}
	if w.last >= next {
		fmt.Fprintf(&out, "_x%d ", w.last-next+1)
	}
	step := 0.0
	if r.counter || rises {
		step = w.rate(r)
	}
	fmt.Fprintf(&out, "%s+%sx%d", last, strconv.FormatFloat(step, 'f', 6, 64), w.long)
	return out.String()
}

// rate returns by how much a series rose each second of the steady part.
func (w *watch) rate(r *row) float64 {
	rose, before, since := 0.0, -1.0, 0
	for i, second := range r.seconds {
		value, err := strconv.ParseFloat(r.values[i], 64)
		if second < w.steady || err != nil {
			continue
		}
		switch {
		case before < 0:
			since = second
		case value >= before:
			rose += value - before
		default:
			rose += value // the process has begun anew
		}
		before = value
	}
	if before < 0 || w.last <= since {
		return 0
	}
	return rose / float64(w.last-since)
}

// fires compares the alerts that fire at any time with the wanted ones. Each is an alert's name,
// followed by what it is about: its instance, which may be - for none, and its member.
func (w *watch) fires(want ...string) {
	w.t.Helper()
	w.end()
	var test bytes.Buffer
	fmt.Fprintf(&test, "rule_files: [%q]\nevaluation_interval: 5s\ntests:\n- interval: 1s\n  input_series:\n", w.rules(want))
	names := make([]string, 0, len(w.rows))
	for series := range w.rows {
		names = append(names, series)
	}
	slices.Sort(names)
	for _, series := range names {
		metric, _, _ := strings.Cut(series, "{")
		fmt.Fprintf(&test, "  - {series: '%s', values: '%s'}\n", series, w.history(w.rows[series], w.rising[metric]))
	}
	fmt.Fprintf(&test, "  promql_expr_test:\n  - expr: group by (alertname, instance, member) (last_over_time(ALERTS{alertstate=\"firing\"}[1d]))\n    eval_time: %ds\n    exp_samples:\n",
		quiet+w.last+w.long)
	for _, alert := range want {
		part := append(strings.Fields(alert), "", "")
		fmt.Fprintf(&test, "    - {labels: '{alertname=%q", part[0])
		if part[1] != "" && part[1] != "-" {
			fmt.Fprintf(&test, ",instance=%q", part[1])
		}
		if part[2] != "" {
			fmt.Fprintf(&test, ",member=%q", part[2])
		}
		fmt.Fprint(&test, "}', value: 1}\n")
	}
	history, err := os.CreateTemp("", "viakv-alerts-*.yml")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := history.Write(test.Bytes()); err != nil || history.Close() != nil {
		w.t.Fatalf("%s: %v", history.Name(), err)
	}
	if out, err := promtool(w.t, "test", "rules", history.Name()); err != nil {
		w.t.Errorf("the alerts that fire are not %q: %v\n%s", want, err, out)
		return // the history stays
	}
	if err := os.Remove(history.Name()); err != nil {
		w.t.Error(err)
	}
}

// rules returns the file of the rules. Where slow reads are not the case, reads may take ten times
// as long as the rule allows, because the machine may be busy.
func (w *watch) rules(want []string) string {
	file := filepath.Join(viakvtest.ModuleRoot(w.t), "docs", "monitoring", "alerts.yml")
	if slices.ContainsFunc(want, func(alert string) bool { return strings.HasPrefix(alert, "ViakvSlowReads") }) {
		return file
	}
	const bound = `endpoint="/get",class!="5xx"}[5m]))) > 0.1`
	text := string(viakvtest.Shipped(w.t, "docs/monitoring/alerts.yml"))
	if strings.Count(text, bound) != 1 {
		w.t.Fatalf("the rules lack %s", bound)
	}
	file = filepath.Join(w.t.TempDir(), "alerts.yml")
	if err := os.WriteFile(file, []byte(strings.Replace(text, bound, strings.TrimSuffix(bound, "0.1")+"1", 1)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// promtool runs Prometheus' tool for rules. Without one the test fails, because the make target for
// it installs it.
func promtool(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	found, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("no promtool: %v; run make test-alerts, which installs it", err)
	}
	out, err := exec.Command(found, args...).CombinedOutput()
	return string(out), err
}
