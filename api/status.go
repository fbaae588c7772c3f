package api

import (
	"errors"
	"fmt"
	"strings"

	"viakv/api/advice"
	"viakv/api/document"
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
		Warnings: warnings(s),
	}
	if s.Mode == "mesh" && s.N > 0 {
		out.ReadQuorum, out.WriteQuorum = s.Read.String(), s.Write.String()
	}
	if c := s.Unsettled; c != nil {
		out.Unsettled = fmt.Sprintf("%s joined or left at epoch %d; waiting for the sync of %v", c.Member, c.Epoch, c.Waits)
	}
	if s.Members != nil {
		out.Members = make([]document.Member, len(s.Members))
	}
	for i := range s.Members {
		m := &s.Members[i]
		out.Members[i] = document.Member{
			Name: m.Name, State: m.State, Reachable: m.Reachable, HTTP: m.HTTP, Peer: m.Peer,
			Incarnation: uint64(m.Incarnation), Ownership: m.Ownership, Hints: m.Hints,
			Sync: syncDocument(m.Sync), RTTMicros: m.RTT.Microseconds(),
			Bytes: m.Bytes, MaxBytes: m.MaxBytes, Full: m.Full,
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

// leftDocument returns the document of a leave.
func leftDocument(l kv.Left) document.Left {
	return document.Left{Node: l.Node, Epoch: uint64(l.Epoch), Forced: l.Forced, MayLose: mayLose(l)}
}

// mayLose returns in words what a forced leave may lose, and an empty string for nothing.
func mayLose(l kv.Left) string {
	loss := l.Loss
	if loss == nil {
		return ""
	}
	text := fmt.Sprintf("writes acknowledged by %d of %d members that only %s held", loss.W, loss.N, l.Node)
	if len(loss.Missing) > 0 {
		text += ", or it and " + strings.Join(loss.Missing, ", ") + " (which may still bring them back)"
	}
	return fmt.Sprintf("%s; %d full copies are at hand, %d would rule out a loss", text, loss.Copies, loss.Need)
}
