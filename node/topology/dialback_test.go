package topology

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
)

// A node whose advertised address leads to another node takes part in no founding. The node is told
// the reason, and so is the founder.
func TestFoundersMustBeWhereTheySay(t *testing.T) {
	simulate(t, func(w *world) {
		s := w.nameServer()
		ipB, ipC := s.host("b", "10.0.0.2"), s.host("c", "10.0.0.3")
		s.host("a", "10.0.0.1")
		s.list("two", ipB, ipC)
		w.net.lead("two:7000", address("b"))
		all := seeds("a", "b", "c")
		a, b, c := w.start("a", all, s.resolve), w.start("b", all, s.resolve), w.start("c", all, s.resolve, advertised("two:7000"))
		w.reason(c, "b answers at two:7000, which c advertises")
		w.reason(a, "the promise of c (b answers at two:7000, which c advertises)")
		time.Sleep(10 * time.Second)
		if len(w.documents) > 0 {
			t.Fatal("a cluster was founded with a member that nobody reaches")
		}
		s.list("two", ipC)
		w.net.lead("two:7000", address("c"))
		w.agree(10*time.Second, a, b, c)
		w.founded()
	})
	// The founder itself cannot be reached. Its advertised address leads to another node, which the
	// founder finds out by itself.
	simulate(t, func(w *world) {
		all := seeds("a", "b", "c")
		a, b, c := w.start("a", all, advertised("c:7000")), w.start("b", all), w.start("c", all)
		w.reason(a, "c answers at c:7000, which a advertises")
		time.Sleep(10 * time.Second)
		if len(w.documents) > 0 {
			t.Fatal("founded by a node that nobody reaches")
		}
		a.crash()
		a = w.start("a", all)
		w.agree(10*time.Second, a, b, c)
	})
	// The founder cannot be reached by the node that is to promise, which tells the founder.
	simulate(t, func(w *world) {
		all := seeds("a", "b")
		w.net.filter(func(from, to transport.Address, _ []byte) bool { return from == address("b") && to == "public:7000" }, nil)
		w.net.lead("public:7000", "nobody:7000")
		a, b := w.start("a", all, advertised("public:7000")), w.start("b", all)
		w.reason(a, "the promise of b (seen from there, public:7000, which a advertises, cannot be reached: ")
		w.net.lead("public:7000", address("a"))
		w.net.filter(nil, nil)
		w.agree(10*time.Second, a, b)
	})
}

// A node that other nodes do not reach at its advertised address is told so. The cluster changes
// nothing for it.
func TestWhoCannotBeReachedDoesNotEnter(t *testing.T) {
	for _, c := range []struct {
		name   string
		want   string
		lead   func(w *world) // where d's address leads at first
		remedy func(w *world)
	}{
		{
			"another node answers", "c answers at public:7000, which d advertises",
			func(w *world) { w.net.lead("public:7000", address("c")) },
			func(w *world) { w.net.lead("public:7000", address("d")) },
		},
		{
			"the leader itself answers", "answers at public:7000, which d advertises",
			func(w *world) { // as an advertised address of localhost does
				w.net.lead("public:7000", w.leader(w.processes...).id.Peer)
			},
			func(w *world) { w.net.lead("public:7000", address("d")) },
		},
		{
			"nobody is there", "public:7000, which d advertises, cannot be reached: not sent",
			func(w *world) { w.net.lead("public:7000", "nobody:7000") },
			func(w *world) { w.net.lead("public:7000", address("d")) },
		},
		{
			"a firewall", "public:7000, which d advertises, cannot be reached: no answer in time",
			func(w *world) {
				w.net.lead("public:7000", address("d"))
				w.net.filter(func(from, to transport.Address, _ []byte) bool { return to == address("d") && from != to }, nil)
			},
			func(w *world) { w.net.filter(nil, nil) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(w *world) {
				a, b, m := w.trio()
				w.leader(a, b, m)
				c.lead(w)
				d := w.start("d", seeds("a", "b", "c"), advertised("public:7000"))
				w.reason(d, c.want)
				w.reason(d, "the leader")
				time.Sleep(5 * time.Second)
				w.reason(d, c.want)
				if e := a.m.current().Epoch; e != firstEpoch {
					t.Errorf("the epoch has moved to %d", e)
				}
				if cause := d.m.Status().Cause; !errors.Is(cause, kv.ErrNodeUnreachable) {
					t.Errorf("the cause: %v", cause)
				}
				// A join by request ends with an error within its deadline.
				e := w.start("e", via("b"), advertised("public:7000"))
				began := time.Now()
				w.until("the join ends", 15*time.Second, e.over)
				want := strings.ReplaceAll(c.want, "d advertises", "e advertises")
				if !errors.Is(e.err, kv.ErrNodeUnreachable) || !strings.Contains(e.err.Error(), want) {
					t.Errorf("after %v: %v, want %q", time.Since(began), e.err, want)
				}
				c.remedy(w)
				w.agree(10*time.Second, a, b, m, d)
				if cause := d.m.Status().Cause; cause != nil {
					t.Errorf("a member waits because of %v", cause)
				}
			})
		})
	}
}

// Several processes advertise one address, which leads to a member. The call that finds this out
// for one of the processes closes the connection to that address. The other processes are told the
// same reason nevertheless.
func TestSeveralAreLookedForAtOneAddress(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		w.net.lead("public:7000", address("c"))
		for round := range 20 {
			var joiners []*process
			for i := range 3 {
				joiners = append(joiners, w.start(fmt.Sprintf("j%d-%d", round, i), via("b"), advertised("public:7000")))
			}
			for _, j := range joiners {
				w.until("the join ends", 15*time.Second, j.over)
				if want := "c answers at public:7000, which " + j.id.Name + " advertises"; !strings.Contains(fmt.Sprint(j.err), want) {
					t.Errorf("%s: %v, want %q", j.id.Name, j.err, want)
				}
			}
		}
	})
}

// A connection that is closed while identify looks for a process does not prove that the process is
// gone.
func TestIdentifyAsksAgainAfterAClosedConnection(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		port := a.m.cfg.Transport.(*port)
		for lost := range 3 {
			go func() {
				for range lost {
					time.Sleep(shortestWay / 2)
					port.Forget(b.id.Peer)
				}
			}()
			p, err := a.m.identify(w.ctx(time.Second), b.id)
			if found := err == nil && p.BootID == b.id.BootID; found != (lost < 2) {
				t.Errorf("after %d losses: %+v, %v", lost, p, err)
			}
			time.Sleep(time.Second)
		}
	})
}

// When the time of reach runs out during an attempt, reach returns the error of the attempts before
// it, and not the timeout.
func TestReachSaysWhatItFound(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		nobody := Identity{Name: "d", HTTP: "d:8000", Peer: "nobody:7000", BootID: 9}
		for i := range 100 { // the time ends at each moment of an attempt, and between two attempts
			within := 50*time.Millisecond + time.Duration(i)*200*time.Microsecond
			if _, err := a.m.reach(w.ctx(within), nobody); !errors.Is(err, transport.ErrNotSent) {
				t.Errorf("within %v: %v", within, err)
			}
		}
	})
}

// A restarted node that other nodes cannot reach does not change its slot: the slot stays that of a
// node that is down.
func TestARestartedNodeThatCannotBeReached(t *testing.T) {
	simulate(t, func(w *world) {
		all := []option{seeds("a", "b", "c")}
		a, b, c := w.trio()
		w.leader(a, b, c)
		c.crash()
		w.net.lead("public:7000", address("b"))
		c = w.start("c", append(all, advertised("public:7000"))...)
		w.reason(c, "b answers at public:7000, which c advertises")
		time.Sleep(5 * time.Second)
		if top := a.m.current(); top.Epoch != firstEpoch || top.vacancies() > 0 {
			t.Errorf("the slot was vacated: %s", top.encode())
		}
		c.crash()
		c = w.start("c", all...)
		w.agree(20*time.Second, a, b, c)
	})
}

// The leader looks the address of a member up again when it begins to lead to another node.
func TestAMembersAddressIsMisdirected(t *testing.T) {
	simulate(t, func(w *world) {
		leader, lost, other := w.ledTrio()
		w.net.lead(lost.id.Peer, other.id.Peer)
		w.until("the leader dials anew", 5*time.Second, func() bool { return slices.Contains(leader.forgotten(), lost.id.Peer) })
		w.net.lead(lost.id.Peer, lost.id.Peer)
		if _, err := leader.m.Clear(w.ctx(10 * time.Second)); err != nil {
			t.Error(err)
		}
		w.agree(10*time.Second, leader, lost, other)
	})
}

func TestCause(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("topology: discover to a:1: %w", fmt.Errorf("tcp: connect to a:1: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})), "connection refused"},
		{fmt.Errorf("topology: discover to a:1: %w", fmt.Errorf("tcp: connect to a:1: %w", &net.OpError{Op: "dial", Err: errNoSuchHost})), "no such host"},
		{fmt.Errorf("topology: discover to a:1: %w", context.DeadlineExceeded), "no answer in time"},
		{fmt.Errorf("%w: a:1: %w", transport.ErrBroken, io.EOF), "EOF"},
		{fmt.Errorf("topology: discover to a:1: %w", transport.ErrClosed), "closed"},
	} {
		if got := cause(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
