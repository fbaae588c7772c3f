package topology

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/quorum/version"
)

func identity(name string, boot uint64) *Identity {
	return &Identity{Name: name, HTTP: name + ":80", Peer: transport.Address(name + ":7000"), BootID: boot}
}

// identities returns processes of these names, whose boot IDs are 1, 2, … in order.
func identities(names ...string) []Identity {
	var out []Identity
	for i, n := range names {
		out = append(out, *identity(n, uint64(i+1)))
	}
	return out
}

// founded returns a new cluster with slots of these names, whose boot IDs are 1, 2, … in order.
func founded(t testing.TB, names ...string) *Topology {
	t.Helper()
	top, err := firstTopology(Topology{Cluster: 7, Founder: 1}, identities(names...))
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// step applies one command at the present epoch, which must succeed.
func step(t testing.TB, top *Topology, c command) *Topology {
	t.Helper()
	next, err := try(top, c)
	if err != nil {
		t.Fatalf("%s at epoch %d: %v", c.Kind, top.Epoch, err)
	}
	return next
}

// try applies one command at the present epoch.
func try(top *Topology, c command) (*Topology, error) {
	c.Expect = top.Epoch
	c.ID = OperationID{99, uint64(top.Epoch) + 1000*uint64(len(c.Kind))}
	return apply(top, top.LogIndex+1, &c)
}

// vacated returns a cluster of a, b and c, where the process at slot c rebuilds.
func vacated(t testing.TB) *Topology {
	return step(t, founded(t, "a", "b", "c"), command{Kind: Vacate, Node: identity("c", 30)})
}

// joining returns a cluster of a, b and c, which has admitted d.
func joining(t testing.TB) *Topology {
	return step(t, founded(t, "a", "b", "c"), command{Kind: Admit, Node: identity("d", 40)})
}

// grown returns a cluster of a, b and c, which d has joined. The change of size is not settled.
func grown(t testing.TB) *Topology {
	j := joining(t)
	return step(t, j, command{Kind: Grow, Name: "d", Incarnation: j.Joining.Pending, At: j.basis()})
}

func facts(top *Topology, names ...string) []fact {
	var out []fact
	for _, n := range names {
		out = append(out, fact{n, top.slot(n).Incarnation})
	}
	return out
}

func TestApplyVacateAndActivate(t *testing.T) {
	v := vacated(t)
	s := v.slot("c")
	if s.active() || s.Pending != version.Incarnation(v.LogIndex) || s.Since != v.Epoch || s.BootID != 30 {
		t.Errorf("vacated: %+v", s)
	}
	if v.N() != 3 || v.W() != 2 || v.vacancies() != 1 {
		t.Errorf("M1: N %d, W %d", v.N(), v.W())
	}
	if need, from := v.RebuildNeed(30); need != 2 || !reflect.DeepEqual(from, []string{"a", "b"}) {
		t.Errorf("M3: %d of %v", need, from)
	}
	a := step(t, v, command{Kind: Activate, Name: "c", Incarnation: s.Pending, At: v.basis()})
	if c := a.slot("c"); c.Incarnation != s.Pending || c.Pending != 0 {
		t.Errorf("activated: %+v", c)
	}
}

// M2 and G3: a process that rebuilds starts over after each change that outdates its copies.
func TestActivateStartsOver(t *testing.T) {
	v := vacated(t)
	pending := v.slot("c").Pending
	five := founded(t, "a", "b", "c", "d", "e")
	five = step(t, five, command{Kind: Vacate, Node: identity("c", 30)})
	for _, c := range []struct {
		name string
		at   *Topology // at which the copies were made
		now  *Topology
		want error
	}{
		{"nothing came between", v, v, nil},
		{"a clear", v, step(t, v, command{Kind: Clear}), ErrStartOver},
		{"copied before the vacating", founded(t, "a", "b", "c"), v, ErrStartOver},
		{"a source was vacated", v, step(t, v, command{Kind: Vacate, Node: identity("b", 20)}), ErrStartOver},
		{"copied at an epoch that is not there yet", step(t, v, command{Kind: Clear}), v, ErrStartOver},
		{"a slot left", five, step(t, five, command{Kind: Shrink, Name: "e"}), ErrStartOver},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := c.now.slot("c").Pending
			_, err := try(c.now, command{Kind: Activate, Name: "c", Incarnation: p, At: c.at.basis()})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	// A source that was vacated has lost its memory, also where it has rebuilt in between.
	w := step(t, v, command{Kind: Vacate, Node: identity("b", 20)})
	w = step(t, w, command{Kind: Activate, Name: "b", Incarnation: w.slot("b").Pending, At: w.basis()})
	if _, err := try(w, command{Kind: Activate, Name: "c", Incarnation: pending, At: v.basis()}); !errors.Is(err, ErrStartOver) {
		t.Errorf("a source forgot and rebuilt: %v", err)
	}
	// An incarnation that was replaced meanwhile cannot be activated at all.
	x := step(t, v, command{Kind: Vacate, Node: identity("c", 31)})
	if _, err := try(x, command{Kind: Activate, Name: "c", Incarnation: pending, At: x.basis()}); err == nil {
		t.Error("an incarnation that crashed while rebuilding was activated")
	}
}

func TestApplyJoin(t *testing.T) {
	g := grown(t)
	want := &SizeChange{Epoch: g.Epoch, Joined: "d", Owe: []string{"d"}, From: []string{"a", "b", "c"}, Need: 2}
	if g.N() != 4 || g.Joining != nil || !reflect.DeepEqual(g.Change, want) || g.Resized != g.Epoch {
		t.Errorf("grown: %s", g.encode())
	}
	if need, from := step(t, g, command{Kind: Vacate, Node: identity("a", 10)}).RebuildNeed(10); need != 3 || len(from) != 3 {
		t.Errorf("M6: a crash during an unsettled change rebuilds from all others, not %d of %v", need, from)
	}
	for name, c := range map[string]command{
		"another join":     {Kind: Admit, Node: identity("e", 50)},
		"a leave":          {Kind: Shrink, Name: "a"},
		"a clear":          {Kind: Clear},
		"a purge":          {Kind: Purge, List: 1},
		"settled too soon": {Kind: Settle},
		"a barrier of an incarnation that is gone": {Kind: Settle, Barriers: []fact{{"d", 2}}},
	} {
		if _, err := try(g, c); !errors.Is(err, errUnsettled) {
			t.Errorf("%s while unsettled: %v", name, err)
		}
	}
	s := step(t, g, command{Kind: Settle, Barriers: facts(g, "d")})
	if s.Change != nil || s.Resized != g.Epoch {
		t.Errorf("settled: %s", s.encode())
	}
	if _, err := try(s, command{Kind: Settle}); err == nil {
		t.Error("settled twice")
	}
	// A joiner that dies before its join is settled is taken out again.
	out := step(t, g, command{Kind: Shrink, Name: "d"})
	if out.N() != 3 || out.Change.Left != "d" || out.Change.Need != 2 || len(out.Change.Owe) != 3 {
		t.Errorf("joined and gone: %s", out.encode())
	}
}

func TestGrowIsRefused(t *testing.T) {
	j := joining(t)
	grow := func(at *Topology) command {
		return command{Kind: Grow, Name: "d", Incarnation: j.Joining.Pending, At: at.basis()}
	}
	v := step(t, j, command{Kind: Vacate, Node: identity("a", 10)})
	for name, c := range map[string]struct {
		now  *Topology
		c    command
		want error
	}{
		"while a slot is vacant":     {v, grow(j), errVacant},
		"after a clear":              {step(t, j, command{Kind: Clear}), grow(j), ErrStartOver},
		"copied before admission":    {j, grow(founded(t, "a", "b", "c")), ErrStartOver},
		"admitted twice at a time":   {j, command{Kind: Admit, Node: identity("e", 50)}, errUnsettled},
		"purge while one is joining": {j, command{Kind: Purge}, errUnsettled},
		"purge while one is vacant":  {vacated(t), command{Kind: Purge}, errVacant},
		"admit a member":             {founded(t, "a"), command{Kind: Admit, Node: identity("a", 9)}, kv.ErrAlreadyMember},
		"vacate nobody":              {j, command{Kind: Vacate, Node: identity("x", 9)}, kv.ErrNoSuchNode},
		"vacate for itself":          {j, command{Kind: Vacate, Node: identity("a", 1)}, kv.ErrAlreadyMember},
		"activate nobody":            {j, command{Kind: Activate, Name: "x"}, kv.ErrNoSuchNode},
		"remove nobody":              {j, command{Kind: Shrink, Name: "x"}, kv.ErrNoSuchNode},
		"remove the last":            {founded(t, "a"), command{Kind: Shrink, Name: "a"}, kv.ErrLastMember},
		"depart from a mesh":         {founded(t, "a", "b"), command{Kind: Depart}, kv.ErrInMesh},
	} {
		if _, err := try(c.now, c.c); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	ab := step(t, j, command{Kind: Abandon, Name: "d", Incarnation: j.Joining.Pending})
	if _, err := try(ab, grow(ab)); err == nil {
		t.Error("an abandoned candidate grew")
	}
	for _, c := range []command{{Kind: "unheard of"}, {Kind: Vacate}, {Kind: Admit}, {Kind: Activate, Name: "a"}} {
		if _, err := try(j, c); err == nil {
			t.Errorf("%+v was applied", c)
		}
	}
}

func TestApplyLeave(t *testing.T) {
	for _, c := range []struct {
		names string
		need  int // N-W+1 before the leave
	}{
		{"a b", 1}, {"a b c", 2}, {"a b c d", 2}, {"a b c d e", 3},
	} {
		top := founded(t, strings.Fields(c.names)...)
		next := step(t, top, command{Kind: Shrink, Name: "a"})
		if next.Change.Need != c.need || len(next.Change.Owe) != top.N()-1 || next.slot("a") != nil {
			t.Errorf("%s: %s", c.names, next.encode())
		}
	}
	v := vacated(t)
	if _, err := try(v, command{Kind: Shrink, Name: "b"}); !errors.Is(err, kv.ErrQuorumLoss) {
		t.Errorf("one of two active ones: %v", err)
	}
	forced := step(t, v, command{Kind: Shrink, Name: "b", Force: true, Reached: 1})
	if forced.Change.Need != 1 || forced.Prev.Need != 1 {
		t.Errorf("forced: %s", forced.encode())
	}
	if out := step(t, v, command{Kind: Shrink, Name: "c"}); out.active() != 2 {
		t.Errorf("the vacant one: %s", out.encode())
	}
}

// weak reports whether reads may miss acknowledged writes.
func weak(top *Topology) bool { return top.R()+top.W() <= top.N() }

func TestQuorums(t *testing.T) {
	for _, c := range []struct {
		r, w   kv.Quorum
		n      int
		wantR  int
		wantW  int
		refuse bool
	}{
		{0, 0, 1, 1, 1, false}, {0, 0, 2, 2, 2, false}, {0, 0, 3, 2, 2, false}, {0, 0, 4, 3, 3, false}, {0, 0, 5, 3, 3, false},
		{kv.QuorumMajority, kv.QuorumMajority, 5, 3, 3, false},
		{1, kv.QuorumAll, 3, 1, 3, false}, {1, kv.QuorumAll, 4, 1, 4, false}, {kv.QuorumAll, 1, 4, 4, 1, false},
		{2, 2, 1, 1, 1, false}, {2, 2, 3, 2, 2, false}, {2, 2, 4, 2, 2, true}, {1, 1, 2, 1, 1, true},
	} {
		members := identities(strings.Fields("a b c d e")[:c.n]...)
		decided := Topology{Cluster: 1, ReadQuorum: c.r, WriteQuorum: c.w}
		top, err := firstTopology(decided, members)
		if refused := errors.Is(err, kv.ErrWeakQuorums); refused != c.refuse {
			t.Errorf("D7: r %d, w %d of %d: %v", c.r, c.w, c.n, err)
		}
		if c.refuse {
			decided.AllowWeak = true
			if top, err = firstTopology(decided, members); err != nil || !weak(top) {
				t.Errorf("weak by name: %v", err)
			}
		} else if weak(top) {
			t.Error("weak")
		}
		if top.R() != c.wantR || top.W() != c.wantW {
			t.Errorf("r %d, w %d of %d: %d, %d", c.r, c.w, c.n, top.R(), top.W())
		}
	}
	// A cluster that cannot grow under its configuration refuses a join before anything is copied.
	top := founded(t, "a", "b", "c")
	top.ReadQuorum, top.WriteQuorum = 2, 2
	if _, err := try(top, command{Kind: Admit, Node: identity("d", 4)}); !errors.Is(err, kv.ErrWeakQuorums) || !errors.Is(err, kv.ErrQuorumLoss) {
		t.Errorf("admit: %v", err)
	}
}

// The 33rd member is refused before it is a candidate. The reason survives the way to the caller.
func TestAFullClusterAdmitsNobody(t *testing.T) {
	names := make([]string, MaxSlots)
	for i := range names {
		names[i] = fmt.Sprintf("n%02d", i)
	}
	last := MaxSlots - 1
	if _, err := try(founded(t, names[:last]...), command{Kind: Admit, Node: identity("x", 99)}); err != nil {
		t.Errorf("the last that fits: %v", err)
	}
	_, err := try(founded(t, names...), command{Kind: Admit, Node: identity("x", 99)})
	r := refusal(err)
	if err := r.err(); !errors.Is(err, kv.ErrFull) || !strings.Contains(err.Error(), "at most 32 members") {
		t.Error(err)
	}
}

func TestForkOf(t *testing.T) {
	top := founded(t, "a", "b", "c")
	f, err := fork(top, 8, "a", "b", OperationID{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	if f.Cluster != 8 || !f.continues(7) || f.continues(8) || f.Epoch <= top.Epoch+1000 || f.LogIndex <= top.LogIndex+1000 || f.N() != 2 || !f.sealed(reports{}) {
		t.Errorf("%s", f.encode())
	}
	for i := range 12 { // the list of forks is bounded
		f.Slots = founded(t, "a", "b", "c").Slots
		if f, err = fork(f, ClusterID(9+i), "a", "b", OperationID{1, uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.Forks) != maxForks || f.Forks[maxForks-1] != 19 {
		t.Errorf("%v", f.Forks)
	}
	if _, err := fork(vacated(t), 8, "c", "b", OperationID{}); !errors.Is(err, kv.ErrQuorumLoss) {
		t.Errorf("a survivor without memory: %v", err)
	}
	if _, err := fork(top, 8, "a", "x", OperationID{}); !errors.Is(err, kv.ErrNoSuchNode) {
		t.Errorf("nobody: %v", err)
	}
	a, b, c := top.Slots[0].BootID, top.Slots[1].BootID, top.Slots[2].BootID
	if l := top.loss("b", polled{a: health.Answers, b: health.Answers, c: health.Answers}); l != nil {
		t.Errorf("two of three copies remain: %+v", l)
	}
	want := &health.Loss{N: 3, W: 2, Copies: 1, Need: 2, Lost: []string{"b"}, Away: []string{"c"}}
	if l := top.loss("b", polled{a: health.Answers, c: health.Silent}); !reflect.DeepEqual(l, want) {
		t.Errorf("one copy remains, and one is away: %+v", l)
	}
	want = &health.Loss{N: 3, W: 2, Copies: 1, Need: 2, Lost: []string{"b", "c"}}
	if l := top.loss("b", polled{a: health.Answers, b: health.Restarted, c: health.Restarted}); !reflect.DeepEqual(l, want) {
		t.Errorf("one copy remains, and one was lost with a process that is back, empty: %+v", l)
	}
	want.Lost = []string{"c", "b"}
	if l := vacated(t).loss("b", polled{a: health.Answers, c: health.Answers}); !reflect.DeepEqual(l, want) {
		t.Errorf("one copy remains beside a vacant slot: %+v", l)
	}
}

func TestDocument(t *testing.T) {
	g := grown(t)
	back, err := Decode(g.encode())
	if err != nil || !reflect.DeepEqual(back, g) {
		t.Errorf("came back as %+v, %v", back, err)
	}
	if s := fmt.Sprint(g.CursorKey); s != "secret" {
		t.Errorf("the secret is printed: %s", s)
	}
	for _, bad := range []string{`{"cluster":"xyz"}`, `{"cursorKey":"00"}`, `{"cursorKey":"zz112233445566778899aabbccddeeff"}`} {
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%s was decoded", bad)
		}
	}
}

func TestRoles(t *testing.T) {
	j, v := joining(t), vacated(t)
	for _, c := range []struct {
		top  *Topology
		boot uint64
		want Role
		text string
	}{
		{j, 1, Active, "active"}, {j, 40, Joining, "joining"}, {v, 30, Rebuilding, "rebuilding"}, {v, 3, Stranger, "stranger"},
	} {
		if role, _ := c.top.Role(c.boot); role != c.want || role.String() != c.text {
			t.Errorf("boot %d is %v, want %v", c.boot, role, c.want)
		}
	}
	if v.slot("c").State() != "rebuilding" || v.slot("a").State() != "active" || (&Slot{}).State() != "vacant" {
		t.Error("states of slots")
	}
}
