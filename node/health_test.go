package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/api/health"
	"viakv/api/kv"
)

// reach returns what a node knows of another one's process.
func (m *mesh) reach(at, other int) string {
	for _, member := range m.nodes[at].Status().Members {
		if member.Name == m.name(other) {
			return member.Reach.String()
		}
	}
	return "no member"
}

// restartsEmpty kills nodes and starts them again, and does not wait for them.
func (m *mesh) restartsEmpty(nodes ...int) {
	m.t.Helper()
	for _, i := range nodes {
		m.kill(i)
	}
	for _, i := range nodes {
		m.start(i, m.seeds(len(m.nodes)))
	}
}

// truthful checks that a node says of requests what becomes of them: its verdict, whether it is
// ready, and a get and a set agree.
func (m *mesh) truthful(at int, when string) health.Verdict {
	m.t.Helper()
	n := m.nodes[at]
	v, ready := n.Status().Health, n.Ready(context.Background())
	_, _, read := n.Get(context.Background(), nil, []byte("a key"), kv.Options{})
	read = served(read)
	_, write := n.Set(context.Background(), []byte("a key"), []byte("v"), kv.Options{})
	if v.CanRead != (read == nil) || v.CanWrite != (write == nil) {
		m.t.Errorf("%s, at %s: %v: %s\nget: %v\nset: %v", when, m.name(at), v.Level, v.Reason, read, write)
	}
	if v.CanRead != (ready == nil) {
		m.t.Errorf("%s, at %s: %v: %s\nready: %v", when, m.name(at), v.Level, v.Reason, ready)
	}
	if ready != nil && !strings.Contains(ready.Error(), v.Reason) {
		m.t.Errorf("%s, at %s: not ready for %q, and the verdict is so for %q", when, m.name(at), ready, v.Reason)
	}
	return v
}

// served returns nil for an answer, also for the answer that a key is missing.
func served(err error) error {
	if err == kv.ErrMissing {
		return nil
	}
	return err
}

// Three seconds after a fault each member says what becomes of requests: for each set of members
// that die, hang, are cut off or come back empty. What it says is never better than what is so.
func TestTheVerdictIsWhatRequestsDo(t *testing.T) {
	for _, size := range []int{2, 3, 5} {
		for fault, apply := range map[string]func(m *mesh, i int){
			"die":             func(m *mesh, i int) { m.kill(i) },
			"hang":            func(m *mesh, i int) { m.net.Pause(m.address(i)) },
			"are cut off":     func(m *mesh, i int) { m.isolate(i, true) },
			"come back empty": func(m *mesh, i int) { m.restartsEmpty(i) },
		} {
			for count := 1; count < size; count++ {
				t.Run(fmt.Sprintf("%d of %d %s", count, size, fault), func(t *testing.T) {
					inMesh(t, size, func(m *mesh) {
						m.set(0, "a key", "v")
						m.truthful(0, "before")
						for i := range count {
							apply(m, size-1-i)
						}
						time.Sleep(3 * time.Second)
						for i := range size - count {
							v := m.truthful(i, "after")
							if whole := v.Level == health.Serving; whole != (fault == "come back empty" && count <= (size-1)/2) {
								t.Errorf("%s: %v: %s", m.name(i), v.Level, v.Reason)
							}
						}
						if fault != "are cut off" {
							return
						}
						for i := range count {
							m.truthful(size-1-i, "cut off")
						}
						for i := range count {
							m.isolate(size-1-i, false)
						}
						time.Sleep(3 * time.Second)
						for i := range size {
							if v := m.truthful(i, "healed"); v.Level != health.Serving {
								t.Errorf("healed, at %s: %v: %s", m.name(i), v.Level, v.Reason)
							}
						}
					})
				})
			}
		}
	}
}

// Where R is less than W, a node goes on to answer gets while fewer than W members answer, by the
// leases of those that do. It says so, and it needs no get before that one.
func TestTheVerdictWhereReadsNeedFewer(t *testing.T) {
	for fault, apply := range map[string]func(m *mesh, i int){
		"dies":       func(m *mesh, i int) { m.kill(i) },
		"hangs":      func(m *mesh, i int) { m.net.Pause(m.address(i)) },
		"is cut off": func(m *mesh, i int) { m.isolate(i, true) },
	} {
		for _, c := range []struct{ n, r, w, lost int }{{3, 1, 3, 1}, {3, 1, 3, 2}, {5, 2, 4, 2}, {2, 1, 2, 1}} {
			t.Run(fmt.Sprintf("%d of %d %s, R=%d, W=%d", c.lost, c.n, fault, c.r, c.w), func(t *testing.T) {
				inMeshOf(t, c.n, func(config *Config) { config.ReadQuorum, config.WriteQuorum = kv.Quorum(c.r), kv.Quorum(c.w) }, func(m *mesh) {
					m.set(0, "a key", "v")
					time.Sleep(3 * time.Second)
					for i := range c.lost {
						apply(m, c.n-1-i)
					}
					time.Sleep(3 * time.Second)
					want := health.ReadsOnly
					if c.n-c.lost < max(c.r, 2) {
						want = health.Refusing
					}
					for i := range c.n - c.lost {
						if v := m.truthful(i, "after"); v.Level != want {
							t.Errorf("%s: %v: %s", m.name(i), v.Level, v.Reason)
						}
					}
					if fault == "is cut off" {
						m.truthful(c.n-1, "cut off")
					}
				})
			})
		}
	}
}

// Members that nobody sends requests to see a restarted member, and it sees them, within two
// seconds from when it serves. They tell each step of that, and call it by its name.
func TestAnIdleClusterSeesARestartedMember(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		time.Sleep(time.Minute)
		before := len(m.nodes[0].Events().Last(health.Kept))
		m.restarts(2)
		time.Sleep(2 * time.Second)
		for at := range 3 {
			for other := range 3 {
				if r := m.reach(at, other); r != "answers" {
					t.Errorf("%s says of %s: %s", m.name(at), m.name(other), r)
				}
			}
			if v := m.nodes[at].Status().Health; v.Level != health.Serving || v.Answering != 3 || v.WriteFailures() != 1 {
				t.Errorf("%s: %v: %s", m.name(at), v.Level, v.Reason)
			}
		}
		var told []string
		for _, e := range m.nodes[0].Events().Last(health.Kept)[before:] {
			if e.Member == m.name(2) {
				told = append(told, e.Name)
			}
			if !strings.HasPrefix(e.Text, "node") && e.Member != "" {
				t.Errorf("%q", e.Text)
			}
		}
		if i := slices.Index(told, "member-rebuilding"); i < 0 || told[len(told)-1] != "member-rebuilt" || slices.Contains(told, "member-joined") {
			t.Errorf("%v", told)
		}
		for range 20 { // nothing else happens
			time.Sleep(time.Second)
			if r := m.reach(0, 2) + m.reach(1, 2) + m.reach(2, 0); r != "answersanswersanswers" {
				t.Fatal(r)
			}
		}
	})
}

// The survivor of two restarts of three refuses, and says why. After the first moment a set there
// has done nothing.
func TestASurvivorOfTwoRestartsRefuses(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.set(0, "k", "v")
		m.restartsEmpty(1, 2)
		time.Sleep(3 * time.Second)
		for range 10 {
			s := m.nodes[0].Status()
			want := "1 of 3 members answers, and reads and writes need 2: nodeb was restarted and has lost its memory, nodec was restarted and has lost its memory"
			if v := s.Health; v.Level != health.Refusing || v.Reason != want || v.CanChange || v.Answering != 1 || v.Loss("") == nil {
				t.Errorf("%v: %s; %+v", v.Level, v.Reason, v)
			}
			if r := m.reach(0, 1) + ", " + m.reach(0, 2); r != "restarted, restarted" {
				t.Error(r)
			}
			if _, err := m.nodes[0].Set(context.Background(), []byte("k"), []byte("w"), kv.Options{}); !endedWith(err, kv.None) {
				t.Errorf("%v, want that nothing was done", err)
			}
			time.Sleep(5 * time.Second)
		}
		if v, _, err := m.nodes[0].Get(context.Background(), nil, []byte("k"), kv.Options{R: 1}); string(v) != "v" {
			t.Errorf("with r=1: %q, %v", v, err)
		}
		for _, i := range []int{1, 2} {
			if v := m.truthful(i, "empty"); v.Level != health.Refusing || !v.Outside {
				t.Errorf("%s: %v: %s", m.name(i), v.Level, v.Reason)
			}
		}
	})
}

// A process that hung while another one took its place is ready no more a moment after it goes on.
func TestAProcessThatWasReplacedIsNotReady(t *testing.T) {
	for _, hung := range []time.Duration{0, 2 * time.Second, 5 * time.Second} {
		t.Run(hung.String(), func(t *testing.T) {
			inMesh(t, 3, func(m *mesh) {
				m.set(0, "k", "v")
				old := m.nodes[2]
				m.net.Pause(m.address(2))
				stop := m.stops[2]
				defer stop()
				m.start(3, m.seeds(3), func(c *Config) { c.Name = m.name(2) }) // elsewhere
				m.until(30*time.Second, "the other process is ready", m.ready(3))
				time.Sleep(hung)
				m.net.Resume(m.address(2))
				m.stops[2] = nil
				time.Sleep(2 * time.Second)
				if err := old.Ready(context.Background()); err == nil {
					t.Errorf("ready: %s", old.Status().Health.Reason)
				}
				if _, _, err := old.Get(context.Background(), nil, []byte("k"), kv.Options{R: 1}); err == nil {
					t.Error("it still answers reads")
				}
				for _, i := range []int{0, 1, 3} {
					if v := m.nodes[i].Status().Health; v.Level != health.Serving {
						t.Errorf("%s: %s", m.name(i), v.Reason)
					}
				}
			})
		})
	}
}

// A membership that has ended with an error says that error, and not what it waited for before.
func TestWhyAMembershipHasEnded(t *testing.T) {
	inMesh(t, 2, func(m *mesh) {
		m.start(2, m.seeds(2), func(c *Config) { c.Name = m.name(1) }) // a second process of that name
		m.until(30*time.Second, "the second process ends", func() bool {
			return m.nodes[2].present.Load().ended() != nil
		})
		want := m.nodes[2].present.Load().ended().Error()
		s := m.nodes[2].Status()
		if !strings.Contains(want, "give") || s.Health.Reason != want || s.Reason == nil || !strings.Contains(s.Reason.Error(), want) {
			t.Errorf("ended with %q; reason %v, verdict %q", want, s.Reason, s.Health.Reason)
		}
		if err := m.nodes[2].Ready(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ready: %v", err)
		}
		if v := m.truthful(0, "beside it"); v.Level != health.Serving {
			t.Errorf("%v: %s", v.Level, v.Reason)
		}
	})
}

// A forced leave beside members that came back empty says what it may lose, as the verdict did
// before. An acknowledged write was on the two of three that lost their memory.
func TestAForcedLeaveBesideEmptyProcessesSaysWhatItLoses(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.set(0, "k", "old")
		m.until(time.Second, "all hold the key", m.equal(0, 1, 2))
		m.isolate(0, true)
		m.set(1, "k", "new")
		m.restartsEmpty(1, 2)
		m.isolate(0, false)
		time.Sleep(3 * time.Second)
		verdict := m.nodes[0].Status().Health
		said := verdict.Loss(m.name(1))
		report, err := m.nodes[0].Leave(context.Background(), m.name(1), true)
		if err != nil || report.Loss == nil || said == nil || said.String() != report.Loss.String() {
			t.Fatalf("%v: the leave says %v, the verdict said %v", err, report.Loss, said)
		}
		want := "writes acknowledged by 2 of 3 members may be lost: 1 full copy is at hand, and 2 would rule that out; what only nodeb and nodec held is gone"
		if got := report.Loss.String(); got != want {
			t.Errorf("%q", got)
		}
	})
}

// A node that has left the cluster tells so, and tells no more of the others.
func TestANodeThatHasLeftTellsNothingOfTheOthers(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.leaves(0, 2)
		m.until(10*time.Second, "it has left", func() bool { return m.nodes[2].Ready(context.Background()) != nil })
		time.Sleep(10 * time.Second)
		for _, e := range m.nodes[2].Events().Last(health.Kept) {
			if slices.Contains([]string{"member-silent", "member-no-connection", "member-elsewhere", "member-restarted"}, e.Name) {
				t.Errorf("%+v", e)
			}
		}
	})
}
