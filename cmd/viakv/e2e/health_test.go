package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"viakv/api/document"
	"viakv/bench/chaos"
	"viakv/cmd/viakv/viakvtest"
)

// These tests check on real processes that what is said about a cluster is so. VIAKV_TEST_HEALTH
// says how much of the matrix is run: "all", "some", or a handful of cases if it is not set.

const (
	// truthWithin is how long after a fault the surfaces may be wrong, on an idle machine.
	truthWithin = 3 * time.Second
	// heldFor is how long a node must have been right. A surface that promises too much for so
	// long, at heldLooks looks in a row, is wrong, whatever else goes on.
	heldFor   = time.Second
	heldLooks = 3
	// manyLooks are more than a machine takes that stands still for a while.
	manyLooks = 5
	lookPause = 250 * time.Millisecond
	pollPause = 150 * time.Millisecond
)

// cell is one case of the matrix.
type cell struct {
	t     *testing.T
	fates fates
	lab   *chaos.Lab
	at    time.Time // when the fault was complete
	acted bool      // the operator has acted since, so that the end is another one
	// holds has the keys that were acknowledged, each with its last value.
	holds map[string]string
}

// finding is what a cell, or many of them, have shown.
type finding struct {
	promised        time.Duration // how long after the fault /cluster promised too much
	lost, announced int           // clusters that lost acknowledged writes, and that said that they might
}

// findings are those of many cells. It is safe for concurrent use.
type findings struct {
	mu              sync.Mutex
	promised        []time.Duration
	longest         fates // in which /cluster promised too much for the longest time
	lost, announced int
}

func (all *findings) add(f fates, one finding) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.promised) == 0 || one.promised > slices.Max(all.promised) {
		all.longest = f
	}
	all.promised = append(all.promised, one.promised)
	all.lost += one.lost
	all.announced += one.announced
}

// matrix returns the cases to run.
func matrix() (all []fates) {
	switch os.Getenv("VIAKV_TEST_HEALTH") {
	case "":
		return []fates{
			{restarted, untouched, restarted},
			{killed, untouched, paused},
			{untouched, killed, restarted, cutOff, untouched},
		}
	case "some":
		return slices.Concat(everyFate(3), fateOfEach(5))
	}
	return slices.Concat(everyFate(3), fateOfEach(2), fateOfEach(4), everyFate(5))
}

// After each fault, each surface of each living node says what a get and a set at that node do, and
// whether a member can leave. What a forced leave loses was announced.
func TestHealthIsWhatRequestsDo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many clusters")
	}
	var all findings
	t.Run("cells", func(t *testing.T) {
		for _, f := range matrix() {
			t.Run(f.String(), func(t *testing.T) {
				t.Parallel()
				c := &cell{t: t, fates: f, holds: map[string]string{}}
				all.add(f, c.play())
			})
		}
	})
	if n := len(all.promised); n > 0 {
		slices.Sort(all.promised)
		t.Logf("%d clusters. /cluster promised too much until %v after the fault at most (%v), %v in the median. %d clusters lost acknowledged writes in forced leaves, and %d said that they might.",
			n, all.promised[n-1].Round(time.Millisecond), all.longest, all.promised[n/2].Round(time.Millisecond), all.lost, all.announced)
	}
	if len(all.promised) == len(matrix()) && !t.Failed() && all.lost == 0 {
		t.Error("no cluster lost an acknowledged write, so no forced leave had a loss to announce")
	}
}

// play makes the case, watches it, and acts on it as an operator would.
func (c *cell) play() (found finding) {
	c.lab = lab(c.t, len(c.fates))
	c.store()
	c.strike()
	var mu sync.Mutex
	c.each(func(i int) {
		promised := c.watch(i)
		mu.Lock()
		defer mu.Unlock()
		found.promised = max(found.promised, promised)
	})
	if at := c.fates.observer(); at >= 0 && !c.t.Failed() {
		found.lost, found.announced = c.act(at)
		c.acted, c.at = true, time.Now()
		c.each(c.judge)
	}
	return found
}

// each does something for each node that answers, at once.
func (c *cell) each(do func(i int)) {
	var doing sync.WaitGroup
	for i, f := range c.fates {
		if f != killed && f != paused {
			doing.Go(func() { do(i) })
		}
	}
	doing.Wait()
}

// store stores keys at all nodes, and then others, and newer values, that the laggards miss.
func (c *cell) store() {
	n := len(c.fates)
	for k := range 3 * n {
		c.set(k%n, fmt.Sprint("plain-", k), "old")
	}
	viakvtest.Await(c.t, "equal digests", func() bool {
		_, equal := c.lab.Digests(c.t.Context())
		return equal
	})
	late := c.fates.laggards()
	var rest []int
	for i := range n {
		if slices.Contains(late, i) {
			c.lab.Refuse(i)
		} else {
			rest = append(rest, i)
		}
	}
	for k := range 2 * n {
		c.set(rest[k%len(rest)], fmt.Sprint([]string{"plain-", "late-"}[k%2], k), "new")
	}
}

// set sets a key until that is acknowledged.
func (c *cell) set(i int, key, value string) {
	viakvtest.Await(c.t, "a set to be acknowledged", func() bool {
		status, _ := viakvtest.Fetch(c.t, c.lab.HTTP(i), "/set", "k", key, "v", value)
		return status == 200
	})
	c.holds[key] = value
}

// strike makes the fault.
func (c *cell) strike() {
	var ending sync.WaitGroup
	for i, f := range c.fates {
		switch f {
		case killed, restarted:
			ending.Go(func() { c.lab.Kill(i) })
		case paused:
			c.lab.Pause(i)
		}
	}
	ending.Wait()
	c.lab.Calm()
	if i := slices.Index(c.fates, cutOff); i >= 0 {
		c.lab.Isolate(i)
	}
	for i, f := range c.fates {
		if f == restarted {
			if err := c.lab.Start(i); err != nil {
				c.t.Error(err)
			}
		}
	}
	c.at = time.Now()
}

// poll asks a node often, until it is told to stop, and returns for how long after the fault
// /cluster promised more than there is in the end.
func (c *cell) poll(i int, stop <-chan struct{}) (promised time.Duration) {
	for {
		var s document.Status
		_, body := viakvtest.Fetch(c.t, c.lab.HTTP(i), "/cluster")
		h := &s.Health
		if json.Unmarshal([]byte(body), &s) == nil && (h.Answering > c.fates.answering(i) || (h.CanRead || h.CanWrite) && !c.fates.serves(i)) {
			promised = time.Since(c.at)
		}
		select {
		case <-stop:
			return promised
		case <-time.After(pollPause):
		}
	}
}

// watch watches a node until all is as it must be in the end. It returns for how long after the
// fault /cluster promised too much.
func (c *cell) watch(i int) (promised time.Duration) {
	stop := make(chan struct{})
	var polling sync.WaitGroup
	polling.Go(func() { promised = c.poll(i, stop) })
	c.judge(i)
	close(stop)
	polling.Wait()
	return promised
}

// judge looks at a node until all is as it must be in the end. Once the operator has acted, it
// looks until the surfaces say what requests do.
func (c *cell) judge(i int) {
	name := c.lab.Name(i)
	agreed := c.at    // when the surfaces were right last, as far as is known
	looks := 0        // since then
	var lying []*look // the looks in a row at which a surface promised too much
	var right []*look // the looks in a row at which all was right
	for ; ; time.Sleep(lookPause) {
		l := c.look(i, !c.acted && len(right) == 0 && time.Since(c.at) > truthWithin-heldFor)
		now := l.ended.Sub(c.at)
		looks++
		switch {
		case !l.steady:
			lying = nil
		case len(l.better()) > 0:
			right = nil
			if l.began.Sub(c.at) > truthWithin {
				lying = append(lying, l)
			}
		case len(l.worse()) > 0:
			right, lying = nil, nil
		default:
			agreed, looks, lying = l.ended, 0, nil
			if (l.asked || c.acted || len(right) > 0) && c.right(i, l) {
				right = append(right, l)
			} else {
				right = nil
			}
		}
		switch {
		case len(lying) >= heldLooks && l.ended.Sub(lying[0].began) >= heldFor:
			c.t.Errorf("%s promises what requests do not do, for %v until %v after the fault: %v", name, l.ended.Sub(lying[0].began).Round(time.Millisecond), now.Round(time.Millisecond), l)
			return
		case l.ended.Sub(agreed) > allowed(truthWithin) && looks > manyLooks:
			c.t.Errorf("%s does not say what requests do, %v after the fault: %v", name, now.Round(time.Millisecond), l)
			return
		case now > viakvtest.Patience:
			c.t.Errorf("%s is not as it must be in the end: %v", name, l)
			return
		case len(right) > 1 && l.ended.Sub(right[0].began) >= heldFor && (c.acted || now > truthWithin):
			return
		}
	}
}

// act does at a node what its operator would do: it asks for a leave, and where the cluster does
// not serve, it forces the lost members out until it does. It returns 1 for a cluster that has lost
// acknowledged writes, and for one that has said that it may.
func (c *cell) act(at int) (lost, announced int) {
	others := c.fates.others(at)
	if c.fates.serves(at) {
		c.complete(at, "")
	}
	c.asPlanned(at, others[0])
	if c.fates.serves(at) {
		c.complete(at, "")
		return 0, 0
	}
	n, says, planned := len(c.fates), "", ""
	for _, x := range others {
		plan := c.plan(at, x)
		status, body := c.leave(at, x, true)
		var left document.Left
		if err := json.Unmarshal([]byte(body), &left); status != 200 || err != nil {
			c.t.Errorf("a forced leave was answered %d %s", status, body)
			return 0, 0
		}
		says, planned = cmp.Or(says, left.MayLose), cmp.Or(planned, plan.MayLose)
		if n--; c.fates.answering(at) >= n/2+1 {
			break
		}
	}
	if says != "" {
		announced = 1
	}
	if c.complete(at, says) > 0 {
		lost = 1
		if planned == "" {
			c.t.Errorf("the plans said that nothing would be lost, and the leaves: %s", says)
		}
	}
	return lost, announced
}

// asPlanned asks a node to remove another one. That must do what the plan says, as judge has seen.
// A busy machine may miss the moment in which the members are asked whether they are there, so what
// is possible is asked for more than once.
func (c *cell) asPlanned(at, x int) {
	possible := c.fates.leaves(at, x)
	for try := 1; ; try++ {
		switch status, body := c.leave(at, x, false); {
		case possible == (status == 200):
			return
		case !possible || try == heldLooks:
			c.t.Errorf("the plan says %v, and the leave was answered %d %s", possible, status, body)
			return
		}
		time.Sleep(heldFor)
	}
}

// complete counts the acknowledged keys that are missing or older at a node. There must be none
// unless it was said that there may.
func (c *cell) complete(at int, said string) (missing int) {
	var examples []string
	for key, want := range c.holds {
		var status int
		var got string
		viakvtest.Await(c.t, "a get to work", func() bool {
			status, got = viakvtest.Fetch(c.t, c.lab.HTTP(at), "/get", "k", key)
			return status == 200 || status == 404
		})
		if status != 200 || got != want {
			missing++
			examples = append(examples, fmt.Sprintf("%s is %d %.20q, want %q", key, status, got, want))
		}
	}
	if missing > 0 && said == "" {
		c.t.Errorf("%d of %d acknowledged keys are missing or old at %s, and nothing was said: %s", missing, len(c.holds), c.lab.Name(at), strings.Join(examples, "; "))
	}
	return missing
}

// plan returns the plan of a leave, as a node sees it.
func (c *cell) plan(at, x int) (p document.Plan) {
	status, body := viakvtest.Fetch(c.t, c.lab.HTTP(at), "/plan", "change", "leave", "node", c.lab.Name(x))
	if err := json.Unmarshal([]byte(body), &p); status != 200 || err != nil {
		c.t.Errorf("the plan was answered %d %s", status, body)
	}
	return p
}

// leave asks a node to remove another one.
func (c *cell) leave(at, x int, force bool) (status int, body string) {
	return viakvtest.Fetch(c.t, c.lab.HTTP(at), "/leave", "node", c.lab.Name(x), "force", fmt.Sprint(force))
}
