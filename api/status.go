package api

import (
	"errors"
	"fmt"

	"viakv/api/advice"
	"viakv/api/document"
	"viakv/api/health"
	"viakv/api/kv"
)

// This file renders the documents of /cluster and /leave: what a store knows of its mesh, in words
// where it is for people.

// statusDocument returns the document of a status.
func statusDocument(s kv.Status) document.Status {
	out := document.Status{
		Mode: s.Mode, Cluster: s.Cluster, Self: s.Self, State: s.State, Reason: reason(s),
		Epoch: uint64(s.Epoch), Generation: uint64(s.Generation), Purge: s.Purge, Leader: s.Leader,
		N: s.N, R: s.R, W: s.W, Weak: s.Weak(), AllowWeak: s.AllowWeak,
		Keys: s.Keys, Tombstones: s.Tombstones, Bytes: s.Bytes, MaxBytes: s.MaxBytes, Digest: s.Digest,
		Warnings: warnings(s), Health: healthDocument(&s),
	}
	if s.Mode == "mesh" && s.N > 0 {
		out.ReadQuorum, out.WriteQuorum = s.Read.String(), s.Write.String()
		out.Reads, out.LeaseMicros = string(s.Reads), s.Lease.Microseconds()
	}
	if c := s.Unsettled; c != nil {
		out.Unsettled = c.String()
	}
	if s.Members != nil {
		out.Members = make([]document.Member, len(s.Members))
	}
	for i := range s.Members {
		m := &s.Members[i]
		out.Members[i] = document.Member{
			Name: m.Name, State: m.State, Reachable: m.Reach == health.Answers, Reach: m.Reach.String(), Since: m.Since, HTTP: m.HTTP, Peer: m.Peer,
			Incarnation: uint64(m.Incarnation), Ownership: m.Ownership, Hints: m.Hints,
			Sync: syncDocument(m.Sync), RTTMicros: m.RTT.Microseconds(),
			Bytes: m.Bytes, MaxBytes: m.MaxBytes, Full: m.Full, Reading: readingDocument(m.Reading),
		}
	}
	return out
}

func syncDocument(s *kv.Sync) *document.Sync {
	if s == nil {
		return nil
	}
	return &document.Sync{Kind: s.Kind, Done: s.Done, Keys: s.Keys, Bytes: s.Bytes, LeftSecs: s.Left.Seconds()}
}

func readingDocument(r *kv.Reading) *document.Reading {
	if r == nil {
		return nil
	}
	out := &document.Reading{
		State: "quorum", Why: string(r.Why), Reason: r.Reason(), Since: r.Since, Leases: r.Leases, Need: r.Need,
		Alone: r.AnsweredAlone, Quorum: r.AskedOthers, Repaired: r.Repaired, Waited: r.Waited, WaitedSeconds: r.WaitedFor.Seconds(),
	}
	if r.Alone {
		out.State = "alone"
	}
	for _, l := range r.Lacks {
		out.Lacks = append(out.Lacks, document.LeaseLack{Member: l.Member, Why: l.Why})
	}
	return out
}

// reason returns in words why a node does not serve. In mesh mode the cause behind an Unavailable
// is left out; the message of a database is part of the reason.
func reason(s kv.Status) string {
	if s.Reason == nil {
		return ""
	}
	text := s.Reason.Error()
	if u, ok := errors.AsType[*kv.Unavailable](s.Reason); ok && s.Mode == "mesh" {
		text = u.Reason
	}
	return advice.Add(text, s.Reason, "/cluster")
}

// warnings returns what an operator should know of the members' memory.
func warnings(s kv.Status) (out []string) {
	for i := range s.Members {
		if m := &s.Members[i]; m.Full {
			out = append(out, advice.Add(fmt.Sprintf("%s holds %s and may hold %s: new values are refused, at all nodes",
				m.Name, kv.Size(m.Bytes), kv.Size(m.MaxBytes)), kv.ErrMemoryLimit, ""))
		}
	}
	if s.Larger != "" {
		out = append(out, fmt.Sprintf("%s may hold %s, and %s holds %s: new values will be refused, at all nodes; raise --max-memory at %s",
			s.Self, kv.Size(s.MaxBytes), s.Larger, kv.Size(s.LargerBytes), s.Self))
	}
	return out
}

// healthDocument returns the document of a status's verdict.
func healthDocument(s *kv.Status) document.Health {
	v, http := &s.Health, ""
	for i := range s.Members {
		if m := &s.Members[i]; m.Name == s.Self {
			http = m.HTTP
		}
	}
	return document.Health{
		Verdict: v.Level.String(), Reason: v.Reason, Next: advice.Next(v, http),
		CanRead: v.CanRead, CanWrite: v.CanWrite, CanChange: v.CanChange,
		Answering: v.Answering, ReadNeed: v.ReadNeed, WriteNeed: v.WriteNeed,
		ReadFailures: v.ReadFailures(), WriteFailures: v.WriteFailures(),
		Copies: v.Answering, CopiesNeed: v.CopiesNeed, MayLose: mayLose(v.Loss("")), Since: v.Since,
	}
}

// mayLose says what may be lost, in words. It returns an empty string for nothing.
func mayLose(l *health.Loss) string {
	if l == nil {
		return ""
	}
	return l.String()
}

// eventDocuments returns the documents of events.
func eventDocuments(events []health.Event) []document.Event {
	out := make([]document.Event, len(events))
	for i, e := range events {
		out[i] = document.Event{Sequence: e.Sequence, At: e.At, Name: e.Name, Member: e.Member, Text: e.Text}
	}
	return out
}

// leftDocument returns the document of a leave.
func leftDocument(l kv.Left) document.Left {
	return document.Left{Node: l.Node, Epoch: uint64(l.Epoch), Forced: l.Forced, MayLose: mayLose(l.Loss)}
}
