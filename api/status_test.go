package api

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/api/document"
	"viakv/api/health"
	"viakv/api/kv"
	"viakv/quorum/version"
)

// shown returns what /cluster says of a status.
func shown(t *testing.T, s kv.Status) (out document.Status) {
	t.Helper()
	h := start(t, Config{Cluster: &mesh{status: s}})
	if err := json.Unmarshal([]byte(h.get("/cluster").body), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStatusDocument(t *testing.T) {
	h := start(t, Config{Cluster: &mesh{status: kv.Status{
		Mode: "mesh", Cluster: "c1", Self: "n1", State: "active", Epoch: 9, Generation: 2, Purge: 3, Leader: "n2",
		N: 3, R: 1, W: 2, Read: 1, Write: kv.QuorumMajority, AllowWeak: true, Reads: kv.ReadsLease, Lease: 100 * time.Millisecond,
		Unsettled: &kv.SizeChange{Member: "n3", Epoch: 8, Waits: []string{"n1", "n2"}},
		Keys:      5, Tombstones: 1, Bytes: 700, MaxBytes: 900, Digest: "d1",
		Members: []kv.Member{
			{Name: "n1", State: "active", Reach: health.Answers, HTTP: "n1:9080", Peer: "n1:9081", Incarnation: 4, Ownership: 0.5,
				Sync: &kv.Sync{Kind: "barrier", Done: 0.25, Keys: 6, Bytes: 60, Left: 1500 * time.Millisecond, Need: 2, Sources: 2},
				Reading: &kv.Reading{Why: kv.NotAloneLeases, Since: time.Date(2026, 11, 30, 1, 2, 4, 0, time.UTC), Leases: 1, Need: 2,
					Lacks:         []kv.LeaseLack{{Member: "n2", Why: "no process"}, {Member: "n3", Why: "not given"}},
					AnsweredAlone: 11, AskedOthers: 12, Repaired: 13, Waited: 14, WaitedFor: 1500 * time.Millisecond}},
			{Name: "n2", State: "vacant", Hints: 7, RTT: 1234567 * time.Nanosecond, Bytes: 70, MaxBytes: 80},
		},
		Health: health.Verdict{Level: health.ReadsOnly, Reason: "1 of 3 members answers, and reads need 1 and writes 2: no connection to n2",
			Since: time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC), CanRead: true, N: 3, W: 2, Answering: 1, ReadNeed: 1, WriteNeed: 2,
			CopiesNeed: 2, Away: []string{"n2"}, Lost: []string{"n3"}},
	}}})
	h.get("/cluster").want(t, 200, `{
  "mode": "mesh",
  "cluster": "c1",
  "self": "n1",
  "state": "active",
  "epoch": 9,
  "generation": 2,
  "purge": 3,
  "leader": "n2",
  "n": 3,
  "r": 1,
  "w": 2,
  "weak": true,
  "readQuorum": "1",
  "writeQuorum": "quorum",
  "allowWeak": true,
  "reads": "lease",
  "leaseMicros": 100000,
  "unsettled": "n3 joined or left at epoch 8; waiting for the sync of n1, n2",
  "keys": 5,
  "tombstones": 1,
  "bytes": 700,
  "maxBytes": 900,
  "digest": "d1",
  "members": [
    {
      "name": "n1",
      "state": "active",
      "reachable": true,
      "reach": "answers",
      "http": "n1:9080",
      "peer": "n1:9081",
      "incarnation": 4,
      "ownership": 0.5,
      "hints": 0,
      "sync": {
        "kind": "barrier",
        "done": 0.25,
        "keys": 6,
        "bytes": 60,
        "leftSeconds": 1.5
      },
      "reading": {
        "state": "quorum",
        "why": "too few leases",
        "reason": "1 of the leases of other members count, and 2 must: n2 has no process that serves, n3 gives none",
        "since": "2026-11-30T01:02:04Z",
        "leases": 1,
        "need": 2,
        "lacks": [
          {
            "member": "n2",
            "why": "no process"
          },
          {
            "member": "n3",
            "why": "not given"
          }
        ],
        "alone": 11,
        "quorum": 12,
        "repaired": 13,
        "waited": 14,
        "waitedSeconds": 1.5
      }
    },
    {
      "name": "n2",
      "state": "vacant",
      "reachable": false,
      "reach": "unheard",
      "http": "",
      "peer": "",
      "incarnation": 0,
      "ownership": 0,
      "hints": 7,
      "rttMicros": 1234,
      "bytes": 70,
      "maxBytes": 80
    }
  ],
  "health": {
    "verdict": "reads only",
    "reason": "1 of 3 members answers, and reads need 1 and writes 2: no connection to n2",
    "next": "bring n2 back into reach, without a restart if possible: a process that still runs has kept its memory",
    "canRead": true,
    "canWrite": false,
    "canChange": false,
    "answering": 1,
    "readNeed": 1,
    "writeNeed": 2,
    "readFailures": 0,
    "writeFailures": 0,
    "copies": 1,
    "copiesNeed": 2,
    "mayLose": "writes acknowledged by 2 of 3 members may be lost: 1 full copy is at hand, and 2 would rule that out; what only n3 held is gone, and n2 may still bring back what it holds",
    "since": "2026-11-30T01:02:03Z"
  }
}
`)
}

// A node that is not yet a member has no quorums to show. Nor has a node on a database.
func TestStatusWithoutQuorums(t *testing.T) {
	for name, s := range map[string]kv.Status{
		"joining":  {Mode: "mesh", Self: "n1", State: "joining", Reason: &kv.Unavailable{Reason: "n2 to answer"}},
		"postgres": {Mode: "postgres", Self: "n1", State: "active", Members: []kv.Member{}},
	} {
		if got := shown(t, s); got.ReadQuorum != "" || got.Reads != "" || got.WriteQuorum != "" || got.Weak || len(got.Members) != 0 || (got.Members == nil) != (s.Members == nil) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestReasonSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		reason error
		want   string
	}{
		{nil, ""},
		{context.DeadlineExceeded, "context deadline exceeded"},
		{&kv.Unavailable{Reason: "the node is stopping"}, "the node is stopping"},
		{&kv.Unavailable{Reason: "another node at all:1", Err: kv.ErrLoneSeed},
			"another node at all:1; name the other nodes, or give --expect 1 for a cluster of one"},
		{&kv.Unavailable{Reason: "the node is out", Err: kv.ErrNotMember}, "the node is out; /join lets it in again"},
		{&kv.Unavailable{Reason: "2 copies are needed", Err: kv.ErrTooFewCopies},
			"2 copies are needed; restart them if they kept their memory, or remove them with /leave?node=NAME&force=true"},
	} {
		if got := shown(t, kv.Status{Mode: "mesh", Reason: c.reason}); got.Reason != c.want {
			t.Errorf("%v: %q, want %q", c.reason, got.Reason, c.want)
		}
	}
	// A database's reason is shown with its cause, which no other page shows.
	lost := &kv.Unavailable{Reason: "there is no connection to the database", Err: errors.New("connection refused")}
	if got := shown(t, kv.Status{Mode: "postgres", Reason: lost}).Reason; !strings.Contains(got, "no connection to the database: connection refused") {
		t.Errorf("of a database: %q", got)
	}
}

func TestWarnings(t *testing.T) {
	const mib = 1 << 20
	members := []kv.Member{{Name: "a", Bytes: mib, MaxBytes: 3 * mib}, {Name: "b", Bytes: 2*mib + mib/8, MaxBytes: 2 * mib, Full: true}}
	full := "b holds 2.1 MiB and may hold 2.0 MiB: new values are refused, at all nodes; remove keys, clear, or raise --max-memory there"
	larger := "a may hold 1.5 MiB, and b holds 2.1 MiB: new values will be refused, at all nodes; raise --max-memory at a"
	for _, c := range []struct {
		status kv.Status
		want   []string
	}{
		{kv.Status{Self: "a", Members: members[:1]}, nil},
		{kv.Status{Self: "a", Members: members}, []string{full}},
		{kv.Status{Self: "a", Members: members, MaxBytes: mib * 3 / 2, Larger: "b", LargerBytes: 2*mib + mib/8}, []string{full, larger}},
	} {
		if got := shown(t, c.status).Warnings; !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.status, got, c.want)
		}
	}
}

func TestLeftDocument(t *testing.T) {
	for _, c := range []struct {
		left kv.Left
		want document.Left
	}{
		{kv.Left{Node: "b", Epoch: 7}, document.Left{Node: "b", Epoch: 7}},
		{kv.Left{Node: "b", Epoch: 7, Forced: true}, document.Left{Node: "b", Epoch: 7, Forced: true}},
		{kv.Left{Node: "b", Epoch: 7, Forced: true, Loss: &health.Loss{N: 3, W: 1, Copies: 2, Need: 3, Lost: []string{"b"}}}, document.Left{Node: "b", Epoch: 7, Forced: true,
			MayLose: "writes acknowledged by 1 of 3 members may be lost: 2 full copies are at hand, and 3 would rule that out; what only b held is gone"}},
	} {
		h := start(t, Config{Cluster: &mesh{leave: func(context.Context, string, bool) (kv.Left, error) { return c.left, nil }}})
		var got document.Left
		if err := json.Unmarshal([]byte(h.get("/leave?node=b&force=true").body), &got); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %+v %v, want %+v", c.left, got, err, c.want)
		}
	}
}

// What to do about an error depends on the request.
func TestProblemsSayWhatToDo(t *testing.T) {
	var fault error
	h := start(t, Config{Cluster: &mesh{
		join:  func(context.Context, string) error { return fault },
		leave: func(context.Context, string, bool) (kv.Left, error) { return kv.Left{}, fault },
		reads: func(context.Context, kv.Reads) (version.Epoch, error) { return 0, fault },
	}})
	few := kv.Detail(kv.ErrTooFewServe, "1 of 2 members would serve")
	for _, c := range []struct {
		err    error
		target string
		status int
		slug   string
		end    string
	}{
		{few, "/join?peer=a:1", 409, "quorum-loss", "would serve; wait until the others are back"},
		{kv.Detail(kv.ErrNotMesh, "m answers the reads"), "/reads?mode=lease", 409, "not-a-mesh", "m answers the reads; the database's own settings say how consistent its reads are"},
		{few, "/leave?node=b", 409, "quorum-loss", "would serve; wait until the others are back, or repeat with force=true and accept what that may lose"},
		{kv.Detail(kv.ErrQuorumLoss, "b holds no full copy"), "/leave?node=b&force=true", 409, "quorum-loss", "holds no full copy"},
		{kv.Detail(kv.ErrLastMember, "its keys would be lost"), "/leave", 409, "quorum-loss", "its keys would be lost; /clear removes them, /join takes them into another mesh"},
		{kv.Detail(kv.ErrNoSuchNode, "x has no slot"), "/leave?node=x", 404, "no-such-node", "x has no slot"},
		{&kv.Unavailable{Outcome: kv.None, Reason: "it has moved on", Err: kv.ErrMovedOn}, "/leave?node=b&force=true", 503, "unavailable", "it has moved on; look at /cluster, and repeat the leave if it is still wanted"},
		{&kv.Unavailable{Outcome: kv.None, Reason: "queue full", RetryAfter: time.Second}, "/leave", 503, "overloaded", "queue full"},
	} {
		fault = c.err
		if p := h.get(c.target).problem(t, c.status, c.slug); !strings.HasSuffix(p.Detail, c.end) {
			t.Errorf("%s, %v: %q, want the end %q", c.target, c.err, p.Detail, c.end)
		}
	}
}
