package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/api/kv"
	"viakv/quorum/lease"
)

// asked sends a node a get every few milliseconds, and returns how to stop that.
func (m *mesh) asked(i int) (stop func()) {
	over, stopped := make(chan struct{}), make(chan struct{})
	n := m.nodes[i]
	go func() {
		defer close(stopped)
		for {
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
				_, _, _ = n.Get(context.Background(), nil, []byte("k"), kv.Options{Deadline: time.Now().Add(50 * time.Millisecond)})
			}
		}
	}()
	return func() {
		close(over)
		<-stopped
	}
}

// reading returns how a node says that it answers reads. It must say so of itself alone.
func (m *mesh) reading(i int) *kv.Reading {
	m.t.Helper()
	var own *kv.Reading
	for _, member := range m.nodes[i].Status().Members {
		if member.Name == m.name(i) {
			own = member.Reading
		} else if member.Reading != nil {
			m.t.Errorf("%s tells how %s answers reads", m.name(i), member.Name)
		}
	}
	return own
}

// wantsReading fails the test unless a node says that it answers reads so, and has since a moment
// within the given bounds. lacks has a member and what its lease lacks, in turn.
func (m *mesh) wantsReading(i int, what string, why kv.NotAlone, least, most time.Time, lacks ...string) {
	m.t.Helper()
	r := m.reading(i)
	if r == nil {
		m.t.Errorf("%s: it answers no reads", what)
		return
	}
	var got []string
	for _, l := range r.Lacks {
		got = append(got, l.Member, l.Why)
	}
	if r.Why != why || r.Alone != (why == "") || r.Since.Before(least) || r.Since.After(most) || fmt.Sprint(got) != fmt.Sprint(lacks) {
		m.t.Errorf("%s: %q (%s), alone %v, since %v of %v to %v, lacks %q, want %q and %q",
			what, r.Why, r.Reason(), r.Alone, r.Since, least, most, got, why, lacks)
	}
}

// A node says whether it answers reads from its own copy, since when, and why not; and so does its
// log, once each time.
func TestHowReadsAreAnsweredIsTold(t *testing.T) {
	logs := map[int]*observer.ObservedLogs{}
	inLoggedMesh(t, 3, func(i int) *zap.Logger {
		core, seen := observer.New(zap.InfoLevel)
		logs[i] = seen
		return zap.New(core)
	}, func(m *mesh) {
		told := func(what string, want ...string) {
			t.Helper()
			var got []string
			for _, l := range logs[2].TakeAll() {
				if strings.HasPrefix(l.Message, "this node answers gets") || strings.HasPrefix(l.Message, "this node asks other members for each get") {
					got = append(got, fmt.Sprint(l.Level, " ", l.Message, " ", l.ContextMap()["reason"]))
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: the log says %q, want %q", what, got, want)
				return
			}
			for i := range want {
				if !strings.Contains(got[i], want[i]) {
					t.Errorf("%s: the log says %q, want %q", what, got, want)
				}
			}
		}
		const alone = "info this node answers gets from its own copy"
		now, second := time.Now, time.Second
		a, b := m.name(0), m.name(1)

		m.until(10*second, "an idle node gives its leases up", func() bool { return m.reading(2).Why == kv.NotAloneIdle })
		idle := now()
		time.Sleep(10 * second)
		m.wantsReading(2, "idle", kv.NotAloneIdle, idle.Add(-5*time.Millisecond), idle, a, "not asked", b, "not asked")
		told("at the start", alone)

		stop := m.asked(2)
		began := now()
		time.Sleep(2 * second)
		m.wantsReading(2, "asked", "", began, began.Add(100*time.Millisecond))
		r := m.reading(2)
		if time.Sleep(10 * second); !m.reading(2).Since.Equal(r.Since) || m.reading(2).AnsweredAlone <= r.AnsweredAlone || m.reading(2).AskedOthers != r.AskedOthers {
			t.Errorf("%+v, and before %+v", m.reading(2), r)
		}
		stop()
		m.until(3*second, "it gives its leases up", func() bool { return m.reading(2).Why == kv.NotAloneIdle })
		time.Sleep(time.Minute)
		told("with pauses between requests") // idle is no event

		stop = m.asked(2)
		time.Sleep(second)
		cut := now()
		m.isolate(2, true)
		time.Sleep(15 * second)
		m.wantsReading(2, "cut off", kv.NotAloneLeases, cut, cut.Add(kv.DefaultLease), a, "no answer", b, "no answer")
		told("cut off", "warn this node asks other members for each get 0 of the leases of other members count, and 1 must: nodea does not answer, nodeb does not answer")
		m.isolate(2, false)
		healed := now()
		time.Sleep(15 * second)
		m.wantsReading(2, "healed", "", healed, healed.Add(5*second))
		told("healed", alone)
		since := m.reading(2).Since

		m.net.Pause(m.address(1))
		time.Sleep(2 * second)
		m.wantsReading(2, "one member pauses", "", since, since, b, "no answer")
		m.net.Resume(m.address(1))
		time.Sleep(5 * second)
		m.wantsReading(2, "it goes on", "", since, since)

		set := now()
		for _, to := range []kv.Reads{kv.ReadsQuorum, kv.ReadsLease} {
			if _, err := m.nodes[0].SetReads(context.Background(), to); err != nil {
				t.Fatal(err)
			}
			if to == kv.ReadsQuorum {
				time.Sleep(time.Minute)
				m.wantsReading(2, "by quorum", kv.NotAloneSetting, set, set.Add(second))
				told("by quorum", "info this node asks other members for each get reads of the cluster are set to quorum")
				set = now()
			}
		}
		time.Sleep(15 * second)
		m.wantsReading(2, "by lease again", "", set, set.Add(second))
		told("by lease again", alone)

		m.leaves(0, 2)
		time.Sleep(5 * second)
		if r := m.reading(2); r != nil {
			t.Errorf("after its leave: %+v", r)
		}
		stop()
		told("after its leave")
	})
}

// The log mentions a state that comes and goes at most once in a while, and not at all while it is
// shorter than a moment.
func TestTheLogOfReadsIsNoFlood(t *testing.T) {
	logs := map[int]*observer.ObservedLogs{}
	inLoggedMesh(t, 3, func(i int) *zap.Logger {
		core, seen := observer.New(zap.InfoLevel)
		logs[i] = seen
		return zap.New(core)
	}, func(m *mesh) {
		defer m.asked(2)()
		time.Sleep(20 * time.Second)
		logs[2].TakeAll()
		flap := func(times int, down, up time.Duration) (lines int) {
			for range times {
				m.isolate(2, true)
				time.Sleep(down)
				m.isolate(2, false)
				time.Sleep(up)
			}
			for _, l := range logs[2].TakeAll() {
				if strings.HasPrefix(l.Message, "this node a") {
					lines++
				}
			}
			return lines
		}
		if n := flap(20, byQuorumFor/2, byQuorumFor); n != 0 {
			t.Errorf("%d lines about moments", n)
		}
		if n := flap(20, 2*byQuorumFor, 2*byQuorumFor); n == 0 || n > 9 {
			t.Errorf("%d lines in 80 s, want one in 10 s at most", n)
		}
	})
}

// What the API says of a lease is what the leases say.
func TestTheAPIKnowsEachLack(t *testing.T) {
	for i, lack := range kv.LeaseLacks() {
		if got := (lease.NoProcess + lease.Lack(i)).String(); got != lack {
			t.Errorf("%q, and the API says %q", got, lack)
		}
	}
	if n := int(lease.RanOut-lease.NoProcess) + 1; n != len(kv.LeaseLacks()) {
		t.Errorf("%d lacks, and the API knows %d", n, len(kv.LeaseLacks()))
	}
}

// A node that needs no lease answers alone. One in a cluster whose quorums do not overlap never
// does.
func TestHowReadsAreAnsweredElsewhere(t *testing.T) {
	inMesh(t, 1, func(m *mesh) {
		time.Sleep(time.Minute)
		m.wantsReading(0, "the only member", "", time.Now().Add(-62*time.Second), time.Now().Add(-time.Minute))
	})
	inMeshOf(t, 3, func(c *Config) { c.ReadQuorum, c.WriteQuorum, c.AllowWeak = 1, 1, true }, func(m *mesh) {
		defer m.asked(0)()
		time.Sleep(time.Minute)
		m.wantsReading(0, "weak quorums", kv.NotAloneWeak, time.Now().Add(-62*time.Second), time.Now().Add(-time.Minute+lookEvery))
	})
	inMesh(t, 3, func(m *mesh) {
		stop := m.asked(0)
		defer stop()
		m.kill(1)
		m.kill(2)
		lost := time.Now()
		time.Sleep(10 * time.Second)
		m.wantsReading(0, "the majority is lost", kv.NotAloneLeases, lost.Add(-time.Second), lost.Add(time.Second), m.name(1), "no answer", m.name(2), "no answer")
	})
}
