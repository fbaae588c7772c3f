package node

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
)

// This file tells how the node answers reads: from its own copy or by asking other members, since
// when, and why.

// reading remembers how the node answered reads when it was last looked at.
type reading struct {
	mu    sync.Mutex
	why   kv.NotAlone
	since time.Time

	// Of the log, and of watchHealth alone.
	told   told
	toldAt time.Time
}

// told is what the log has last said of how reads are answered.
type told uint8

const (
	toldNothing told = iota
	toldAlone
	toldSetting // each read asks other members, because of the cluster's settings
	toldQuorum  // each read asks other members, for want of leases
)

// readingNow returns how the node answers reads at present. It is nil when it answers none.
func (n *Node) readingNow() *kv.Reading {
	v := n.Current()
	if v == nil || v.Incarnation() == 0 {
		return nil
	}
	held := v.Held.Status()
	out := &kv.Reading{Alone: v.Leases && held.Alone, Since: held.Since, Leases: held.Counting, Need: held.Need}
	switch {
	case !v.Leases:
		out.Why, out.Leases, out.Need = kv.NotAloneSetting, 0, 0
	case v.R+v.W <= v.Slots:
		out.Why, out.Leases, out.Need = kv.NotAloneWeak, 0, 0
	case !out.Alone:
		out.Why = whyOf(&held)
		fallthrough
	default:
		out.Lacks = lacksOf(v, &held)
	}
	c := n.coordinator.Stats()
	out.AnsweredAlone, out.AskedOthers, out.Repaired = c.Local, c.Asked, c.Repaired
	out.Waited, out.WaitedFor = c.Waits.Count, c.Waits.Total
	n.sinceWhen(out)
	return out
}

// sinceWhen sets since when a reading is so. Where it rests on the cluster's settings, this is when
// it was first seen, and otherwise what the leases say.
func (n *Node) sinceWhen(r *kv.Reading) {
	s := &n.reading
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Why != kv.NotAloneSetting && r.Why != kv.NotAloneWeak {
		s.why, s.since = r.Why, r.Since
		return
	}
	if s.why != r.Why || s.since.IsZero() {
		s.why, s.since = r.Why, time.Now()
	}
	r.Since = s.since
}

// whyOf returns why leases do not let the node answer alone.
func whyOf(held *lease.Status) kv.NotAlone {
	catching := 0
	for _, lack := range held.Lacks {
		if lack == lease.CatchingUp {
			catching++
		}
	}
	switch {
	case held.Idle:
		return kv.NotAloneIdle
	case catching > 0 && held.Counting+catching >= held.Need:
		return kv.NotAloneCatching
	}
	return kv.NotAloneLeases
}

// lacksOf returns the other members whose leases do not count.
func lacksOf(v *replica.View, held *lease.Status) (out []kv.LeaseLack) {
	for m, lack := range held.Lacks {
		if m != v.Self && m < v.Slots && lack != lease.Nothing {
			out = append(out, kv.LeaseLack{Member: v.Members[m].Name, Why: lack.String()})
		}
	}
	return out
}

const (
	// byQuorumFor is how long reads must have asked other members, for want of leases, before the
	// log says so. On a busy machine a lease may run out for a moment.
	byQuorumFor = time.Second
	// readsToldEvery is the least time between two lines of the log about it.
	readsToldEvery = 10 * time.Second
)

// tellReading has the log say when the node begins to answer reads from its own copy, and when it
// ceases to though requests come. While none come it says nothing.
func (n *Node) tellReading(now time.Time) {
	r, s := n.readingNow(), &n.reading
	if r == nil {
		s.told = toldNothing // the next membership is another story
		return
	}
	next := s.told
	switch r.Why {
	case "":
		next = toldAlone
	case kv.NotAloneSetting, kv.NotAloneWeak:
		next = toldSetting
	case kv.NotAloneLeases, kv.NotAloneCatching:
		if now.Sub(r.Since) >= byQuorumFor {
			next = toldQuorum
		}
	}
	if next == s.told || now.Sub(s.toldAt) < readsToldEvery && !s.toldAt.IsZero() {
		return
	}
	s.told, s.toldAt = next, now
	switch next {
	case toldAlone:
		n.log.Info("this node answers gets from its own copy", zap.Int("leases", r.Leases))
	case toldSetting:
		n.log.Info("this node asks other members for each get", zap.String("reason", r.Reason()))
	case toldQuorum:
		n.log.Warn("this node asks other members for each get", zap.String("reason", r.Reason()))
	}
}
