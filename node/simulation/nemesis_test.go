package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/kv"
)

// nemesis breaks a cluster at random, within the faults that the cluster promises to bear (M11).
type nemesis struct {
	c     *cluster
	r     *rand.Rand
	shape shape
	mu    sync.Mutex
	log   []string
	spare int // number in the next joiner's name
	// leaves counts the leaves that were asked for and whose outcome is not known: each may be
	// agreed at any moment.
	leaves atomic.Int32

	under sync.WaitGroup // faults and changes that have not ended
}

func (n *nemesis) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = append(n.log, fmt.Sprintf("%8.3f ", time.Since(epoch).Seconds())+fmt.Sprintf(format, args...))
}

// epoch is the time at which the clock of every bubble begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (n *nemesis) ms(from, to int) time.Duration {
	return time.Duration(from+n.r.IntN(to-from)) * time.Millisecond
}

// run makes one fault after another until the given time, and then heals the network.
func (n *nemesis) run(until time.Time) {
	for time.Now().Before(until) {
		time.Sleep(n.ms(30, 400))
		all := n.c.running()
		if len(all) == 0 {
			continue
		}
		p := all[n.r.IntN(len(all))]
		if n.shape.clocks && n.r.IntN(2) == 0 {
			n.stopClock(p)
		}
		if n.shape.switches && n.r.IntN(12) == 0 {
			n.switchReads(p)
		}
		switch x := n.r.IntN(100); {
		case x < 30:
			n.crash(p)
		case x < 50:
			n.pause(p, n.span(1200), n.r.IntN(2) == 0)
		case x < 65:
			n.isolate(p)
		case x < 80:
			n.oneWay(p, all[n.r.IntN(len(all))])
		case n.shape.most > 0:
			n.change()
		}
	}
	n.c.net.HealAll()
	n.under.Wait()
}

// crash kills a node and starts it again. It does so only while enough other members are whole, so
// that nothing may be lost.
func (n *nemesis) crash(p *process) {
	if !n.mayCrash(p) {
		return
	}
	if n.r.IntN(4) == 0 {
		n.note("stop %s", p.name)
		n.c.retire(p.name)
	} else {
		n.note("kill %s", p.name)
		n.c.kill(p.name)
	}
	time.Sleep(n.ms(1, 300))
	n.note("boot %s", p.name)
	n.c.start(p.name, n.c.currentSeeds())
}

// mayCrash reports whether the cluster bears the crash of a process (M11). A process that counts
// for nothing may always crash.
func (n *nemesis) mayCrash(p *process) bool {
	weak, s := n.c.weak()
	if s.N == 0 {
		return false
	}
	if leaving(s) || n.leaves.Load() > 0 {
		weak++ // until the members that stay have synced, a leave takes a copy away as a crash does
	}
	bear, own := min(s.W-1, (s.N-1)/2), p.node.Status()
	i := slices.IndexFunc(s.Members, func(m kv.Member) bool { return m.Name == p.name })
	switch {
	case i < 0:
		return true
	case s.Members[i].State == "joining": // it may become one of N+1 at any moment
		return weak-1 < s.N/2
	case s.Members[i].State != "active" || own.Epoch == 0: // it rebuilds, or is about to
		return true
	case own.State != "active": // it has become a member a moment ago, and weak counts it
		return weak-1 < bear
	}
	return weak < bear
}

// lists reports whether a status shows a member of that name.
func lists(s kv.Status, name string) bool {
	return slices.ContainsFunc(s.Members, func(m kv.Member) bool { return m.Name == name })
}

// unknown reports whether an error leaves open what the request has done.
func unknown(err error) bool {
	var u *kv.Unavailable
	return errors.As(err, &u) && u.Outcome == kv.Unknown
}

// leaving reports whether a leave is not settled yet.
func leaving(s kv.Status) bool {
	return s.Unsettled != nil && !lists(s, s.Unsettled.Member)
}

// span draws how long a fault lasts: shorter than a lease, or longer.
func (n *nemesis) span(most int) time.Duration {
	if n.r.IntN(3) == 0 {
		return n.ms(5, 100)
	}
	return n.ms(30, most)
}

// pause holds back what arrives at a node. Its clients may go on to ask it, as they do where only
// its peers are slow to reach it.
func (n *nemesis) pause(p *process, d time.Duration, asked bool) {
	n.note("pause %s for %v, asked meanwhile: %v", p.name, d, asked)
	n.c.net.Pause(address(p.name))
	p.paused.Store(!asked)
	n.under.Go(func() {
		time.Sleep(d)
		p.paused.Store(false)
		n.c.net.Resume(address(p.name))
	})
}

// stopClock stops the clock of a node for a while, or makes it jump or go at another rate.
func (n *nemesis) stopClock(p *process) {
	switch n.r.IntN(4) {
	case 0:
		by := n.ms(-2000, 2000)
		n.note("the clock of %s jumps by %v", p.name, by)
		p.clock.jump(by)
	default:
		rate, d := []float64{0, 0, 0.2, 4}[n.r.IntN(4)], n.ms(100, 2000)
		n.note("the clock of %s goes at %v for %v", p.name, rate, d)
		n.under.Go(func() { p.clock.run(rate, d) })
		if n.r.IntN(2) == 0 { // it misses what others write, and may not notice that its leases end
			n.pause(p, n.ms(100, 480), true)
		}
	}
}

// switchReads has the cluster read by leases or by quorums, and does not wait for the answer.
func (n *nemesis) switchReads(p *process) {
	reads := []kv.Reads{kv.ReadsLease, kv.ReadsLease, kv.ReadsQuorum}[n.r.IntN(3)]
	n.note("reads by %s", reads)
	n.under.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_, err := p.node.SetReads(ctx, reads)
		n.note("reads by %s is answered: %v", reads, err)
	})
}

func (n *nemesis) isolate(p *process) {
	d := n.span(1500)
	n.note("isolate %s for %v", p.name, d)
	for _, o := range n.c.running() {
		n.cut(p, o, d)
		n.cut(o, p, d)
	}
}

func (n *nemesis) oneWay(from, to *process) {
	d := n.span(1500)
	n.note("cut %s to %s for %v", from.name, to.name, d)
	n.cut(from, to, d)
}

func (n *nemesis) cut(from, to *process, d time.Duration) {
	if from == to {
		return
	}
	n.c.net.Cut(address(from.name), address(to.name))
	n.under.Go(func() {
		time.Sleep(d)
		n.c.net.Heal(address(from.name), address(to.name))
	})
}

// change starts a join or a leave, and does not wait for the answer.
func (n *nemesis) change() {
	weak, s := n.c.weak()
	if weak > 0 || s.Unsettled != nil || s.N < n.shape.least || s.N > n.shape.most {
		return
	}
	if s.N < n.shape.most && (s.N == n.shape.least || n.r.IntN(2) == 0) {
		name := fmt.Sprint("j", n.spare)
		n.spare++
		via := s.Members[n.r.IntN(len(s.Members))].Name
		n.note("join of %s by %s", name, via)
		p := n.c.start(name, nil)
		n.under.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			err := p.node.Join(ctx, string(address(via)))
			n.note("join of %s is answered: %v", name, err)
			if unknown(err) {
				n.takeOut(p)
			}
		})
		return
	}
	leaver := s.Members[n.r.IntN(len(s.Members))].Name
	n.note("leave of %s", leaver)
	if p := n.c.get(n.anyName()); p != nil {
		n.leaves.Add(1)
		n.under.Go(func() {
			defer n.leaves.Add(-1)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, err := p.node.Leave(ctx, leaver, false)
			n.note("leave of %s is answered: %v", leaver, err)
			if unknown(err) {
				n.awaitLeave(leaver)
			}
		})
	}
}

// awaitLeave waits until a leave whose outcome is unknown shows, and for 10 s at most. Such a leave
// may be agreed already although no running member has heard of it.
func (n *nemesis) awaitLeave(leaver string) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		s := n.c.newest()
		if s.N > 0 && !leaving(s) && !lists(s, leaver) {
			return
		}
	}
}

// takeOut does what the answer to a join of unknown outcome asks of operators. A node that has
// given its join up, and is a member all the same, has to leave. The node is stopped, too: other
// nodes have it among their seeds when they start, and these seeds would be of two clusters.
func (n *nemesis) takeOut(p *process) {
	for end := time.Now().Add(formTime); time.Now().Before(end); time.Sleep(time.Second) {
		s := n.c.newest()
		listed := lists(s, p.name)
		switch here := n.c.get(p.name); {
		case here != p && here != nil: // it was started again, and enters the cluster
			return
		case here == p && p.node.Status().Cluster == s.Cluster: // it has become a member
			return
		case here == p:
			n.c.kill(p.name)
		}
		if !listed {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if at := n.c.get(s.Self); at != nil {
			_, err := at.node.Leave(ctx, p.name, false)
			n.note("%s is taken out: %v", p.name, err)
		}
		cancel()
	}
}

func (n *nemesis) anyName() string {
	all := n.c.running()
	return all[n.r.IntN(len(all))].name
}
