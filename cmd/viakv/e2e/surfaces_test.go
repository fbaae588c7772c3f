package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"viakv/api/document"
	"viakv/cmd/viakv/viakvtest"
)

// What can be promised of a node, and what becomes of it.
const (
	aGet    = "a get works"
	aSet    = "a set works"
	both    = "a get and a set work"
	aChange = "a member can leave"
)

// claim is one promise that one surface makes or does not make.
type claim struct{ by, that string }

// look is one look at all surfaces of a node, and at what requests to it did then.
type look struct {
	began, ended time.Time
	// steady says that the surfaces said the same before the requests and after them.
	steady bool
	asked  bool // the commands were asked, too
	says   map[claim]bool
	is     map[string]bool
	health document.Health
	// event is the verdict by the last event about it.
	event string
	// answers has the names of the other members that answer, by /cluster and by the metrics.
	answers, answersByMetrics []string
}

// better returns what was promised and is not so.
func (l *look) better() []string { return l.wrong(true) }

// worse returns what is so and was denied.
func (l *look) worse() []string { return l.wrong(false) }

func (l *look) wrong(promised bool) (all []string) {
	for c, says := range l.says {
		if is, known := l.is[c.that]; known && says == promised && is != promised {
			all = append(all, fmt.Sprintf("%s says %v of %q", c.by, says, c.that))
		}
	}
	slices.Sort(all)
	return all
}

func (l *look) String() string {
	return fmt.Sprintf("%q, get %v, set %v; %+v; the last event says %q; others that answer: %v, by the metrics %v; too good %q, too bad %q",
		map[bool]string{true: "steady", false: "changing"}[l.steady], l.is[aGet], l.is[aSet], l.health, l.event, l.answers, l.answersByMetrics, l.better(), l.worse())
}

// look looks at a node. The commands are asked only where that is wanted and all else is in order,
// because each of them is a process.
func (c *cell) look(i int, commands bool) *look {
	l := &look{began: time.Now(), is: map[string]bool{}}
	l.says = c.ask(i, l)
	address := c.lab.HTTP(i)
	var got, set int
	var asking sync.WaitGroup
	asking.Go(func() { got, _ = viakvtest.Fetch(c.t, address, "/get", "k", "plain-0") })
	asking.Go(func() { set, _ = viakvtest.Fetch(c.t, address, "/set", "k", "probe-"+c.lab.Name(i), "v", "probe") })
	asking.Wait()
	l.is[aGet], l.is[aSet] = got == 200 || got == 404, set == 200
	l.is[both] = l.is[aGet] && l.is[aSet]
	l.steady = maps.Equal(l.says, c.ask(i, l))
	if commands && l.steady && c.right(i, l) {
		l.asked = true
		before := maps.Clone(l.says)
		said := c.run(i)
		l.is[aChange] = c.fates.leaves(i, c.fates.others(i)[0])
		l.steady = maps.Equal(before, c.ask(i, l))
		maps.Copy(l.says, said)
	}
	l.ended = time.Now()
	return l
}

// ask returns what the surfaces of the API say.
func (c *cell) ask(i int, l *look) map[claim]bool {
	says := map[claim]bool{}
	address := c.lab.HTTP(i)
	var s document.Status
	if _, body := viakvtest.Fetch(c.t, address, "/cluster", "events", "200"); json.Unmarshal([]byte(body), &s) != nil {
		return says // it has just started, or is about to end
	}
	l.health, l.event, l.answers, l.answersByMetrics = s.Health, "refusing", nil, nil
	for _, e := range s.Events {
		if name := strings.ReplaceAll(e.Name, "-", " "); slices.Contains([]string{"serving", "degraded", "reads only", "refusing"}, name) {
			l.event = name
		}
	}
	for _, m := range s.Members {
		if m.Reachable && m.Name != s.Self {
			l.answers = append(l.answers, m.Name)
		}
	}
	verdict := func(by, v string) {
		says[claim{by, aGet}] = v == "serving" || v == "degraded" || v == "reads only"
		says[claim{by, aSet}] = v == "serving" || v == "degraded"
	}
	says[claim{"/cluster", aGet}], says[claim{"/cluster", aSet}] = s.Health.CanRead, s.Health.CanWrite
	verdict("the verdict of /cluster", s.Health.Verdict)
	says[claim{"/readyz", aGet}] = viakvtest.Status(c.t, address, "/readyz") == 200
	_, body := viakvtest.Fetch(c.t, address, "/metrics")
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		name, label, labelled := strings.Cut(name, "{")
		if !labelled {
			name, value, _ = strings.Cut(name, " ")
		}
		_, label, _ = strings.Cut(label, `="`)
		label = strings.TrimSuffix(label, `"`)
		switch {
		case name == "viakv_cluster_can_read":
			says[claim{name, aGet}] = value == "1"
		case name == "viakv_cluster_can_write":
			says[claim{name, aSet}] = value == "1"
		case name == "viakv_cluster_verdict" && value == "1":
			verdict(name, label)
		case name == "viakv_member_reachable" && value == "1":
			l.answersByMetrics = append(l.answersByMetrics, label)
		}
	}
	slices.Sort(l.answers)
	slices.Sort(l.answersByMetrics)
	return says
}

// run returns what the commands say.
func (c *cell) run(i int) map[claim]bool {
	address := c.lab.HTTP(i)
	command := func(known []int, args ...string) bool {
		code, said := ran(c.t, args...)
		if !slices.Contains(known, code) {
			c.t.Errorf("viakv %v: exit code %d, want one of %v:\n%s", args, code, known, said)
		}
		return code == 0
	}
	x := c.lab.Name(c.fates.others(i)[0])
	return map[claim]bool{
		{"viakv status", both}:         command([]int{0, 3}, "status", "--endpoints", address),
		{"viakv health", aGet}:         command([]int{0, 1}, "health", "--http", address),
		{"viakv member plan", aChange}: command([]int{0, 1, 3, 6}, "member", "plan", "leave", x, "--endpoints", address),
	}
}

// right reports whether the surfaces say what requests do, and before the operator has acted, also
// whether everything is as it must be in the end.
func (c *cell) right(i int, l *look) bool {
	f, h := c.fates, &l.health
	if len(l.better())+len(l.worse()) > 0 || len(l.says) == 0 || l.event != h.Verdict {
		return false
	}
	if c.acted {
		return true
	}
	var others []string
	for j := range f {
		if j != i && f.hears(i, j) {
			others = append(others, c.lab.Name(j))
		}
	}
	verdict, failures := "refusing", 0
	switch n := f.answering(i); {
	case !f.serves(i):
	case n == len(f):
		verdict, failures = "serving", n-f.need()
	default:
		verdict, failures = "degraded", n-f.need()
	}
	member := f.answering(i) > 0
	return l.is[aGet] == f.serves(i) && l.is[aSet] == f.serves(i) && h.CanChange == f.serves(i) &&
		h.Verdict == verdict && h.Answering == f.answering(i) && h.ReadFailures == failures && h.WriteFailures == failures &&
		(h.Next != "") == (member && verdict != "serving") && (h.MayLose != "") == (member && f.answering(i) < f.copies()) &&
		slices.Equal(l.answers, others) && slices.Equal(l.answersByMetrics, others)
}
