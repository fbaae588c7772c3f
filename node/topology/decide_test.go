package topology

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/quorum/version"
)

// sceneOf returns a scene in which all members are well: they vote, are caught up and have answered
// at this moment. They have also answered the polls of the given requests.
func sceneOf(top *Topology, asks ...*ask) *scene {
	now := time.Unix(1000, 0)
	s := &scene{
		topology: top, self: 1, now: now, caughtUp: map[uint64]bool{}, absent: map[uint64]bool{},
		reports: reports{quiet: map[uint64]version.Epoch{}, gone: map[uint64]bool{}},
		heard:   map[uint64]time.Time{}, asks: asks,
	}
	for _, id := range top.recipients() {
		s.reports.quiet[id.BootID] = top.Epoch
		s.heard[id.BootID], s.caughtUp[id.BootID] = now, true
	}
	for i := range top.Slots {
		s.voters = append(s.voters, top.Slots[i].BootID)
	}
	if top.Joining != nil {
		s.learners = append(s.learners, top.Joining.BootID)
	}
	for _, a := range asks {
		if a.deadline.IsZero() {
			a.deadline = now.Add(time.Second)
		}
		a.answered, a.polledAt = polled{}, now
		for _, id := range top.recipients() {
			a.answered[id.BootID] = health.Answers
		}
	}
	return s
}

// asking returns a request that waits at the leader, for the member of that name.
func asking(p purpose, name string) *ask {
	return &ask{request: request{ID: OperationID{55, 1}, Purpose: p, Name: name}}
}

// entering returns the request of a process to enter, in place of the process with the boot ID
// replaces; zero stands for none.
func entering(name string, boot, replaces uint64) *ask {
	a := asking(toEnter, "")
	a.Node, a.replaces = identity(name, boot), replaces
	return a
}

func TestDecide(t *testing.T) {
	// The topologies and requests of the cases.
	trio := founded(t, "a", "b", "c")
	later := step(t, trio, command{Kind: Clear})
	v, j, g := vacated(t), joining(t), grown(t)
	activate := asking(toActivate, "c")
	activate.Incarnation, activate.At = v.slot("c").Pending, v.basis()
	growing := func() *ask {
		a := asking(toGrow, "d")
		a.Incarnation, a.At = j.Joining.Pending, j.basis()
		return a
	}
	vacant := step(t, founded(t, "a", "b", "c", "d", "e"), command{Kind: Vacate, Node: identity("e", 50)})
	even := founded(t, "a", "b", "c", "d")
	left := step(t, trio, command{Kind: Shrink, Name: "b"})
	pair := founded(t, "a", "b")
	joinsPair := step(t, pair, command{Kind: Admit, Node: identity("c", 30)})
	four := step(t, even, command{Kind: Admit, Node: identity("e", 50)})
	fifth := asking(toGrow, "e")
	fifth.Incarnation, fifth.At = four.Joining.Pending, four.basis()
	purging := asking(toPurge, "")
	purging.Epoch = trio.Epoch
	forced := asking(toLeave, "b")
	forced.Force = true
	done := asking(toClear, "")
	done.ID = later.Applied[0].ID
	// The changes that turn a scene of sceneOf into that of a case.
	with := func(s *scene, changes ...func(s *scene)) *scene {
		for _, f := range changes {
			f(s)
		}
		return s
	}
	voting := func(boots ...uint64) func(*scene) {
		return func(s *scene) {
			s.voters = boots
			s.learners = slices.DeleteFunc(s.learners, s.voter)
		}
	}
	leads := func(boot uint64) func(*scene) { return func(s *scene) { s.self = boot } }
	mute4 := func(s *scene) { s.voters, s.learners, s.caughtUp[4] = []uint64{1, 2, 3}, []uint64{4}, false }
	remove, learn, promote := raftpb.ConfChangeRemoveNode, raftpb.ConfChangeAddLearnerNode, raftpb.ConfChangeAddNode

	for _, c := range []struct {
		name string
		s    *scene
		want move // compared by kind, name and code
	}{
		{"nothing to do", sceneOf(trio), move{}},
		{"a clear", sceneOf(trio, asking(toClear, "")), move{command: &command{Kind: Clear}}},
		{"E4: unsealed", with(sceneOf(later, asking(toClear, "")), func(s *scene) { s.reports.quiet[2], s.reports.quiet[3] = 1, 1 }), move{}},
		{"M8: agreed, unsealed", with(sceneOf(later, done), func(s *scene) { s.reports.quiet[2], s.reports.quiet[3] = 1, 1 }), move{}},
		{"M8: agreed and sealed", sceneOf(later, done), move{answer: &response{Code: codeOK}}},
		{"out of time", with(sceneOf(trio, asking(toClear, "")), func(s *scene) { s.now = s.now.Add(time.Minute) }), move{answer: &response{Code: codeAgain}}},
		{"M6: a clear waits for settling", sceneOf(g, asking(toClear, "")), move{}},
		{"M6: a leave waits for settling", sceneOf(g, asking(toLeave, "a")), move{}},
		{"M6: an admission waits for settling", sceneOf(g, entering("e", 50, 0)), move{}},
		{"M6: vacating does not", with(sceneOf(g, entering("c", 30, 3)), func(s *scene) { s.voters = []uint64{1, 2, 40} }), move{command: &command{Kind: Vacate}}},
		{"settle", with(sceneOf(g), func(s *scene) { s.barriers = facts(g, "d") }), move{command: &command{Kind: Settle}}},
		{"M10: the old vote ends first", sceneOf(trio, entering("c", 30, 3)), move{change: confChange{remove, 3}}},
		{"M10: then the slot is vacated", with(sceneOf(trio, entering("c", 30, 3)), func(s *scene) { s.voters = []uint64{1, 2} }), move{command: &command{Kind: Vacate}}},
		{"M10: then the new process learns", with(sceneOf(v), func(s *scene) { s.voters = []uint64{1, 2} }), move{change: confChange{learn, 30}}},
		{"M10: it votes once caught up", with(sceneOf(v), func(s *scene) { s.voters, s.learners = []uint64{1, 2}, []uint64{30} }), move{change: confChange{promote, 30}}},
		{"M10: not before", with(sceneOf(v), func(s *scene) { s.voters, s.learners, s.caughtUp[30] = []uint64{1, 2}, []uint64{30}, false }), move{}},
		{"M10: it counts once it votes", sceneOf(v, activate), move{command: &command{Kind: Activate}}},
		{"M10: and not before", with(sceneOf(v, activate), func(s *scene) { s.voters, s.learners, s.caughtUp[30] = []uint64{1, 2}, []uint64{30}, false }), move{}},
		{"the slot has changed hands since", sceneOf(trio, entering("c", 30, 9)), move{answer: &response{Code: codeAgain}}},
		{"it is in already", sceneOf(v, entering("c", 30, 3)), move{answer: &response{Code: codeOK}}},
		{"a silent new process is not waited for", with(sceneOf(v), func(s *scene) { s.voters = []uint64{1, 2}; delete(s.heard, 30) }), move{}},
		{"a stranger votes no more", with(sceneOf(trio), func(s *scene) { s.voters = append(s.voters, 77) }), move{change: confChange{remove, 77}}},
		{"a stranger learns no more", with(sceneOf(trio), func(s *scene) { s.learners = []uint64{77} }), move{change: confChange{remove, 77}}},
		{"an admission", sceneOf(trio, entering("d", 40, 0)), move{command: &command{Kind: Admit}}},
		{"one joins at a time", sceneOf(j, entering("e", 50, 0)), move{}},
		{"a joiner learns", with(sceneOf(j), func(s *scene) { s.learners = nil }), move{change: confChange{learn, 40}}},
		{"and does not vote", sceneOf(j), move{}},
		{"a joiner grows", sceneOf(j, growing()), move{command: &command{Kind: Grow}}},
		{"M11: a fifth votes before it grows", sceneOf(four), move{change: confChange{promote, 50}}},
		{"M11: and does not grow before", with(sceneOf(four, fifth), func(s *scene) { s.caughtUp[50] = false }), move{}},
		{"M11: then it grows", with(sceneOf(four, fifth), func(s *scene) { s.voters, s.learners = append(s.voters, 50), nil }), move{command: &command{Kind: Grow}}},
		{"a silent joiner is given up", with(sceneOf(j), func(s *scene) { s.absent[40] = true }), move{command: &command{Kind: Abandon}}},
		{"a joiner restarts", sceneOf(j, entering("d", 41, 40)), move{command: &command{Kind: Abandon}}},
		{"one of four: its vote ends first", sceneOf(even, asking(toLeave, "b")), move{change: confChange{remove, 2}}},
		{"then it leaves", with(sceneOf(even, asking(toLeave, "b")), func(s *scene) { s.voters = []uint64{1, 3, 4} }), move{command: &command{Kind: Shrink}}},
		{"M11: one of three leaves first", sceneOf(trio, asking(toLeave, "b")), move{command: &command{Kind: Shrink}}},
		{"a leave waits for a rebuild that it has not heard of yet", with(sceneOf(vacant, asking(toLeave, "b")), func(s *scene) { delete(s.heard, 50) }), move{}},
		{"and not for one that has died", with(sceneOf(vacant, asking(toLeave, "b")), func(s *scene) { delete(s.heard, 50); s.absent[50] = true }), move{command: &command{Kind: Shrink}}},
		{"M11: a leave waits until the fourth votes", with(sceneOf(even, asking(toLeave, "b")), mute4), move{}},
		{"but not the fourth's own", with(sceneOf(even, asking(toLeave, "d")), mute4), move{change: confChange{remove, 4}}},
		{"M11: a fifth waits, too", with(sceneOf(four, fifth), mute4, func(s *scene) { s.learners = []uint64{4, 50} }), move{}},
		{"M11: its vote ends where the fourth's is missing", with(sceneOf(four, fifth), voting(1, 2, 3, 50)), move{change: confChange{learn, 50}}},
		{"M11: and from an odd number of members", with(sceneOf(j), voting(1, 2, 3, 40)), move{change: confChange{learn, 40}}},
		{"M11: and before one of four leaves", with(sceneOf(four, asking(toLeave, "b")), voting(1, 2, 3, 4, 50)), move{change: confChange{learn, 50}}},
		{"M11: a joiner that leads hands over first", with(sceneOf(four, asking(toLeave, "b")), leads(50), voting(1, 2, 3, 4, 50)), move{transfer: 1}},
		{"M11: a vote that is missing ends before it", with(sceneOf(joinsPair, asking(toLeave, "b")), voting(1, 2, 30), func(s *scene) {
			delete(s.asks[0].answered, 2)
		}), move{change: confChange{remove, 2}}},
		{"and one that is forced out", with(sceneOf(joinsPair, forced), voting(1, 2, 30)), move{change: confChange{remove, 2}}},
		{"then it ends, too", with(sceneOf(joinsPair, forced), voting(1, 30)), move{change: confChange{learn, 30}}},
		{"M11: one of two waits for the end of a joiner's vote", with(sceneOf(joinsPair, asking(toLeave, "b")), voting(1, 2, 30)), move{change: confChange{learn, 30}}},
		{"M11: no joiner votes while a leave waits", with(sceneOf(four, asking(toLeave, "b")), func(s *scene) { s.asks[0].answered = nil }), move{poll: true}},
		{"M11: and a joiner does not vote while one of two leaves", with(sceneOf(joinsPair, asking(toLeave, "b")), func(s *scene) { s.voters = []uint64{1} }),
			move{command: &command{Kind: Shrink}}},
		{"but otherwise it does", sceneOf(joinsPair), move{change: confChange{promote, 30}}},
		{"then its vote ends", with(sceneOf(left), func(s *scene) { s.voters = []uint64{1, 2, 3} }), move{change: confChange{remove, 2}}},
		{"one of four hands over before it leaves", sceneOf(even, asking(toLeave, "a")), move{transfer: 2}},
		{"the leader hands over before it leaves", sceneOf(trio, asking(toLeave, "a")), move{transfer: 2}},
		{"to one that is caught up", with(sceneOf(trio, asking(toLeave, "a")), func(s *scene) { s.caughtUp[2] = false }), move{transfer: 3}},
		{"a leave asks the members first", with(sceneOf(trio, asking(toLeave, "b")), func(s *scene) { s.asks[0].answered = nil }), move{poll: true}},
		{"also before the leave of a member that does not vote yet", with(sceneOf(trio, asking(toLeave, "b")), func(s *scene) {
			s.voters, s.learners, s.caughtUp[2], s.asks[0].answered = []uint64{1, 3}, []uint64{2}, false, nil
		}), move{poll: true}},
		{"a leave that would lose the quorum", with(sceneOf(trio, asking(toLeave, "b")), func(s *scene) { delete(s.asks[0].answered, 3) }), move{answer: &response{Code: "quorum-loss"}}},
		{"of four the vote ends, and then the members are asked again", with(sceneOf(even, asking(toLeave, "b")), func(s *scene) {
			s.voters, s.asks[0].polledAt = []uint64{1, 3, 4}, s.now.Add(-2*time.Second)
		}), move{poll: true}},
		{"an admission asks the members first", with(sceneOf(trio, entering("d", 40, 0)), func(s *scene) { s.asks[0].answered = nil }), move{poll: true}},
		{"an admission that would lose the quorum", with(sceneOf(trio, entering("d", 40, 0)), func(s *scene) { s.asks[0].answered = polled{1: health.Answers} }), move{answer: &response{Code: "quorum-loss"}}},
		{"growing asks the members first", with(sceneOf(j, growing()), func(s *scene) { s.asks[0].answered = nil }), move{poll: true}},
		{"and waits until enough answer", with(sceneOf(j, growing()), func(s *scene) { s.asks[0].answered = polled{1: health.Answers, 40: health.Answers} }), move{}},
		{"and until the joiner does", with(sceneOf(j, growing()), func(s *scene) { delete(s.asks[0].answered, 40) }), move{}},
		{"by force", with(sceneOf(trio, forced), func(s *scene) { s.asks[0].answered = nil }), move{command: &command{Kind: Shrink}}},
		{"nobody of that name", sceneOf(trio, asking(toLeave, "x")), move{answer: &response{Code: "no-such-node"}}},
		{"a purge", sceneOf(trio, purging), move{command: &command{Kind: Purge}}},
		{"G1: a purge at another epoch", sceneOf(later, purging), move{answer: &response{Code: "epoch"}}},
		{"a request of the future", sceneOf(trio, asking("teleport", "")), move{answer: &response{Code: codeRefused}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := decide(c.s)
			switch {
			case (got.command == nil) != (c.want.command == nil) || got.command != nil && got.command.Kind != c.want.command.Kind:
				t.Errorf("command %+v, want %+v", got.command, c.want.command)
			case (got.answer == nil) != (c.want.answer == nil) || got.answer != nil && got.answer.Code != c.want.answer.Code:
				t.Errorf("answer %+v, want %+v", got.answer, c.want.answer)
			case got.change != c.want.change || got.transfer != c.want.transfer || got.poll != c.want.poll:
				t.Errorf("%+v, want %+v", got, c.want)
			case got.command != nil && got.command.Expect != c.s.topology.Epoch:
				t.Errorf("E4: expects epoch %d at %d", got.command.Expect, c.s.topology.Epoch)
			}
		})
	}
}

func TestObstacles(t *testing.T) {
	for want, s := range map[string]*scene{
		"other changes came first":                       sceneOf(founded(t, "a")),
		"a member is rebuilding":                         sceneOf(vacated(t)),
		"d is joining":                                   sceneOf(joining(t)),
		"the last size change waits for the sync of [d]": sceneOf(grown(t)),
		"d is not heard in the consensus group yet; let it leave first if it is gone": func() *scene {
			s := sceneOf(founded(t, "a", "b", "c", "d"))
			s.voters = []uint64{1, 2, 3}
			return s
		}(),
		"epoch 2 waits until enough members of the one before have adopted it": func() *scene { s := sceneOf(joining(t)); clear(s.reports.quiet); return s }(),
	} {
		if got := s.obstacle(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Every error that callers tell apart is the same error after it has crossed the wire. Of any other
// error, the text survives.
func TestCodes(t *testing.T) {
	for _, err := range []error{kv.ErrAlreadyMember, kv.ErrInMesh, kv.ErrPeerUnreachable, kv.ErrNodeUnreachable, kv.ErrNoSuchNode,
		kv.ErrQuorumLoss, kv.ErrLastMember, kv.ErrTooFewServe, kv.ErrWeakQuorums,
		ErrStartOver, errUnsettled, errVacant, errEpoch} {
		r := refusal(kv.Detail(err, "because of %d", 7))
		var back response
		if e := decodeBody(encodeJSON(r), &back); e != nil {
			t.Fatal(e)
		}
		if got := back.err(); !errors.Is(got, err) || got.Error() != err.Error()+": because of 7" {
			t.Errorf("%v came back as %v", err, got)
		}
		bare := refusal(err)
		if got := bare.err(); !errors.Is(got, err) || got.Error() != err.Error() {
			t.Errorf("%v came back as %v", err, got)
		}
	}
	for name, r := range map[string]response{
		"an older version":               {Code: "quorum-loss", Detail: "so it is"},
		"a cause of a newer version":     {Code: "quorum-loss", Cause: "of tomorrow", Detail: "so it is"},
		"a cause that is another code's": {Code: "quorum-loss", Cause: "in-mesh", Detail: "so it is"},
	} {
		if got := r.err(); !errors.Is(got, kv.ErrQuorumLoss) || errors.Is(got, kv.ErrAlreadyMember) || !strings.HasSuffix(got.Error(), "quorum: so it is") {
			t.Errorf("%s: %v", name, got)
		}
	}
	other := refusal(errors.New("the moon"))
	if got := other.err(); got == nil || got.Error() != "the moon" {
		t.Errorf("an error without a code: %v", got)
	}
}
