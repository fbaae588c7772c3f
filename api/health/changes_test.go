package health

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// of returns facts with another leader, cluster or generation than facts gives them.
func of(f *Facts, change func(*Facts)) *Facts {
	change(f)
	return f
}

// told returns events as lines.
func told(events []Event) (lines []string) {
	for _, e := range events {
		lines = append(lines, fmt.Sprintf("%s(%s) %s", e.Name, e.Member, e.Text))
	}
	return lines
}

// Each row is what a knows before and after, and what it tells of that, in order.
func TestChanges(t *testing.T) {
	three := func(change func(*Facts)) *Facts { return of(facts(2, 2, "a b c"), change) }
	for _, c := range []struct {
		name    string
		was, is *Facts
		want    []string
	}{
		{"nothing", facts(2, 2, "a b c"), facts(2, 2, "a b c"), nil},
		{"the first look at a cluster", &Facts{Self: "a", Outside: "starts"}, facts(2, 2, "a b:unheard c:silent"), []string{
			"entered() a is part of cluster 1, which has 3 members",
			"leader(a) a leads the changes of members",
		}},
		{"first contact", facts(2, 2, "a b:unheard c:unheard"), facts(2, 2, "a b c"), nil},
		{"no contact", facts(2, 2, "a b:unheard c:unheard"), facts(2, 2, "a b:silent c:no-connection"), []string{
			"member-silent(b) b does not answer",
			"member-no-connection(c) no connection to c",
		}},
		{"faults", facts(4, 4, "a b c d e"), facts(4, 4, "a b:silent c:no-connection d:restarted e:elsewhere"), []string{
			"member-silent(b) b does not answer",
			"member-no-connection(c) no connection to c",
			"member-restarted(d) d was restarted and has lost its memory",
			"member-elsewhere(e) e is not in this cluster any more, or another node answers at its address",
		}},
		{"one fault after another", facts(2, 2, "a b:silent c:no-connection"), facts(2, 2, "a b:restarted c:silent"), []string{
			"member-restarted(b) b was restarted and has lost its memory",
			"member-silent(c) c does not answer",
		}},
		{"back", facts(2, 2, "a b:silent c:no-connection"), facts(2, 2, "a b c"), []string{
			"member-answers(b) b answers again",
			"member-answers(c) c answers again",
		}},
		{"gone", facts(2, 2, "a b:no-connection c"), facts(2, 2, "a b:vacant c"), []string{
			"member-gone(b) b is gone: its place waits for it to come back and rebuild",
		}},
		{"gone and away at once", facts(2, 2, "a b c"), facts(2, 2, "a b:vacant c"), []string{
			"member-gone(b) b is gone: its place waits for it to come back and rebuild",
		}},
		{"back, empty", facts(2, 2, "a b:vacant c"), facts(2, 2, "a b:rebuilding:unheard c"), []string{
			"member-rebuilding(b) b is back, empty: it rebuilds",
		}},
		{"back, empty, without a time as vacant", facts(2, 2, "a b:restarted c"), facts(2, 2, "a b:rebuilding:unheard c"), []string{
			"member-rebuilding(b) b is back, empty: it rebuilds",
		}},
		{"heard while it rebuilds", facts(2, 2, "a b:rebuilding:unheard c"), facts(2, 2, "a b:rebuilding c"), nil},
		{"cut off while it rebuilds", facts(4, 4, "a b:rebuilding c:rebuilding d:rebuilding e:rebuilding"),
			facts(4, 4, "a b:rebuilding:silent c:rebuilding:no-connection d:rebuilding:restarted e:rebuilding:elsewhere"), []string{
				"member-silent(b) b does not answer",
				"member-no-connection(c) no connection to c",
				"member-restarted(d) d was restarted and has lost its memory",
				"member-elsewhere(e) e is not in this cluster any more, or another node answers at its address",
			}},
		{"rebuilt", facts(2, 2, "a b:rebuilding c"), facts(2, 2, "a b c"), []string{"member-rebuilt(b) b has rebuilt, and serves"}},
		{"rebuilt, and it was not seen", facts(2, 2, "a b:vacant c"), facts(2, 2, "a b:unheard c"), []string{"member-rebuilt(b) b has rebuilt, and serves"}},
		{"rebuilding ends", facts(2, 2, "a b:rebuilding c"), facts(2, 2, "a b:vacant c"), []string{
			"member-gone(b) b is gone: its place waits for it to come back and rebuild",
		}},
		{"itself", facts(2, 2, "a:rebuilding b c"), facts(2, 2, "a b c"), []string{"member-rebuilt(a) a has rebuilt, and serves"}},
		{"a join begins", facts(2, 2, "a b c"), facts(2, 2, "a b c d:joining:unheard"), []string{"member-joining(d) d joins: it copies what the members hold"}},
		{"the joiner is cut off", facts(2, 2, "a b c d:joining"), facts(2, 2, "a b c d:joining:silent"), []string{"member-silent(d) d does not answer"}},
		{"a join ends", facts(2, 2, "a b c d:joining"), facts(3, 3, "a b c d"), []string{"member-joined(d) d is a member"}},
		{"a join, and it was not seen", facts(2, 2, "a b c"), facts(3, 3, "a b c d:unheard"), []string{"member-joined(d) d is a member"}},
		{"a join is given up", facts(2, 2, "a b c d:joining"), facts(2, 2, "a b c"), []string{"member-gave-up(d) d has given its join up, or was given up"}},
		{"a leave", facts(2, 2, "a b c"), facts(2, 2, "a b"), []string{"member-left(c) c has left the cluster"}},
		{"a vacant one leaves", facts(2, 2, "a b c:vacant"), facts(2, 2, "a b"), []string{"member-left(c) c has left the cluster"}},
		{"one for another", facts(2, 2, "a b c"), facts(2, 2, "a b d:joining"), []string{
			"member-joining(d) d joins: it copies what the members hold",
			"member-left(c) c has left the cluster",
		}},
		{"a clear", facts(2, 2, "a b c"), three(func(f *Facts) { f.Generation = 1 }), []string{"cleared() the store was cleared, for the 1st time"}},
		{"many clears", facts(2, 2, "a b c"), three(func(f *Facts) { f.Generation = 112 }), []string{"cleared() the store was cleared, for the 112th time"}},
		{"another leader", facts(2, 2, "a b c"), three(func(f *Facts) { f.Leader = "b" }), []string{"leader(b) b leads the changes of members"}},
		{"no leader", facts(2, 2, "a b c"), three(func(f *Facts) { f.Leader = "" }), []string{
			"no-leader() no member leads the changes of members: nobody can join, leave or clear",
		}},
		{"no leader, and outside", facts(2, 2, "a b c"), three(func(f *Facts) { f.Leader, f.Outside = "", "stops" }), nil},
		{"a fork", facts(2, 2, "a b:silent c:silent"), of(facts(2, 2, "a c:silent"), func(f *Facts) { f.Cluster, f.Continues = "2", []string{"0", "1"} }), []string{
			"forked() the cluster goes on as 2 after a forced leave",
			"member-left(b) b has left the cluster",
		}},
		{"another cluster", facts(1, 1, "a"), of(facts(2, 2, "a x y"), func(f *Facts) { f.Cluster, f.Leader = "2", "x" }), []string{
			"entered() a is part of cluster 2, which has 3 members",
			"leader(x) x leads the changes of members",
		}},
		{"no cluster any more", facts(2, 2, "a b c"), &Facts{Self: "a", Outside: "starts again"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := told(changes(c.was, c.is)); !slices.Equal(got, c.want) {
				t.Errorf("\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestOrdinals(t *testing.T) {
	var got []string
	for _, n := range []uint64{1, 2, 3, 4, 10, 11, 12, 13, 14, 20, 21, 22, 23, 101, 111, 112, 121} {
		got = append(got, ordinal(n))
	}
	if s := strings.Join(got, " "); s != "1st 2nd 3rd 4th 10th 11th 12th 13th 14th 20th 21st 22nd 23rd 101st 111th 112th 121st" {
		t.Error(s)
	}
}

// clock is the time of an Observer's test, in seconds.
func clock(seconds int) time.Time { return time.Unix(int64(seconds), 0) }

// observe has an observer look at facts, and returns what it told.
func observe(o *Observer, seconds int, f *Facts) (Facts, Verdict, []Event) {
	var told []Event
	seen, v := o.Observe(clock(seconds), func() Facts { return *f }, func(e Event) { told = append(told, e) })
	return seen, v, told
}

// Each change is told once, with its time and in order, and is kept. The verdict's event comes
// last, with its reason.
func TestEachEventIsToldOnce(t *testing.T) {
	var o Observer
	_, _, first := observe(&o, 1, &Facts{Self: "a", Outside: "the node has just started"})
	if len(first) != 0 {
		t.Errorf("a node that has just started tells %v", told(first))
	}
	var all []Event
	for i, f := range []*Facts{facts(2, 2, "a b c"), facts(2, 2, "a b c"), facts(2, 2, "a b:silent c"), facts(2, 2, "a b:silent c:restarted"), facts(2, 2, "a b c:restarted")} {
		_, _, events := observe(&o, 2+i, f)
		for _, e := range events {
			if !e.At.Equal(clock(2 + i)) {
				t.Errorf("%v, want second %d", e, 2+i)
			}
		}
		all = append(all, events...)
	}
	want := []string{
		"entered() a is part of cluster 1, which has 3 members",
		"leader(a) a leads the changes of members",
		"serving() serving: all 3 members answer",
		"member-silent(b) b does not answer",
		"degraded() degraded: 2 of 3 members answer, and reads and writes need 2: b does not answer",
		"member-restarted(c) c was restarted and has lost its memory",
		"refusing() refusing: 1 of 3 members answers, and reads and writes need 2: b does not answer, c was restarted and has lost its memory",
		"member-answers(b) b answers again",
		"degraded() degraded: 2 of 3 members answer, and reads and writes need 2: c was restarted and has lost its memory",
	}
	if got := told(all); !slices.Equal(got, want) {
		t.Errorf("\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if kept := o.Events.Last(Kept); !slices.Equal(kept, all) {
		t.Errorf("kept are\n%s", strings.Join(told(kept), "\n"))
	}
	for i, e := range all {
		if e.Sequence != uint64(i+1) || !slices.Contains(EventNames(), e.Name) {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	observe(&o, 9, facts(2, 2, "a b c"))
	if c := o.Events.Counts(); c[eventDegraded] != 2 || c[eventServing] != 2 || c[eventAnswers] != 2 {
		t.Errorf("%v", c)
	}
	o.Observe(clock(10), func() Facts { return *facts(2, 2, "a b:silent c") }, nil) // nobody is told
	if c := o.Events.Counts(); c[eventSilent] != 2 {
		t.Errorf("%v", c)
	}
}

// A verdict and a reach are so since they became so, whatever else changes meanwhile.
func TestSince(t *testing.T) {
	var o Observer
	for i, c := range []struct {
		f             *Facts
		verdict, a, b int
	}{
		{of(facts(2, 2, "a b"), func(f *Facts) { f.Outside = "starts" }), 0, 0, 0},
		{of(facts(2, 2, "a b"), func(f *Facts) { f.Outside = "still starts" }), 0, 0, 0},
		{facts(2, 2, "a b:silent"), 0, 0, 2}, // refusing, for another reason
		{facts(1, 2, "a b:silent"), 0, 0, 2},
		{facts(2, 2, "a b:restarted"), 0, 0, 4},
		{facts(2, 2, "a b"), 5, 0, 5},
		{facts(2, 2, "a b:full"), 6, 0, 5},
		{facts(2, 2, "a b"), 7, 0, 5},
		{of(facts(2, 2, "a b"), func(f *Facts) { f.Cluster = "2" }), 7, 8, 8},
	} {
		f, v, _ := observe(&o, i, c.f)
		if !v.Since.Equal(clock(c.verdict)) || !f.Members[0].Since.Equal(clock(c.a)) || !f.Members[1].Since.Equal(clock(c.b)) {
			t.Errorf("at %d: verdict since %d, a since %d, b since %d, want %d, %d, %d",
				i, v.Since.Unix(), f.Members[0].Since.Unix(), f.Members[1].Since.Unix(), c.verdict, c.a, c.b)
		}
	}
}

// Events tell all that changes: who replays them from the first look on knows at each look the
// members, their states and reaches, the leader, the generation and the level.
func TestEventsTellEveryChange(t *testing.T) {
	states := map[string]string{
		eventJoining: Joining, eventJoined: Active, eventRebuilt: Active, eventGone: Vacant, eventRebuilding: Rebuilding,
		eventGivenUp: "", eventLeft: "",
	}
	reaches := map[string]Reach{eventAnswers: Answers, eventSilent: Silent, eventNoConnection: NoConnection, eventRestarted: Restarted, eventElsewhere: Elsewhere}
	levels := map[string]Level{eventServing: Serving, eventDegraded: Degraded, eventReadsOnly: ReadsOnly, eventRefusing: Refusing}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var o Observer
		f := *facts(2, 2, "a b c")
		observe(&o, 0, &f)
		state, reach := map[string]string{"a": Active, "b": Active, "c": Active}, map[string]Reach{"b": Answers, "c": Answers}
		level, leader, generation := Serving, "a", uint64(0)
		for step := 1; step < 60; step++ {
			f = wander(random, f)
			_, v, events := observe(&o, step, &f)
			for _, e := range events {
				if s, ok := states[e.Name]; ok {
					state[e.Member] = s
				}
				if r, ok := reaches[e.Name]; ok {
					reach[e.Member] = r
				}
				if l, ok := levels[e.Name]; ok {
					level = l
				}
				switch e.Name {
				case eventLeader:
					leader = e.Member
				case eventNoLeader:
					leader = ""
				case eventCleared:
					generation++
				}
				if s := state[e.Member]; e.Member != "" && s == "" {
					delete(state, e.Member)
					delete(reach, e.Member)
				}
			}
			members := map[string]string{}
			for _, m := range f.Members {
				members[m.Name] = m.State
				switch {
				case m.Name == "a":
				// First contact is not told, nor what is heard of a vacant slot.
				case m.Reach == Unheard, m.State == Vacant, m.Reach == Answers && reach[m.Name] == Unheard:
					reach[m.Name] = m.Reach
				case reach[m.Name] != m.Reach:
					t.Fatalf("seed %d, step %d: %+v, and the events say %v\n%s", seed, step, m, reach[m.Name], strings.Join(told(events), "\n"))
				}
			}
			if fmt.Sprint(members) != fmt.Sprint(state) || v.Level != level || f.Leader != leader || f.Generation != generation {
				t.Fatalf("seed %d, step %d: %v, %v, leader %q, %d clears; the events say %v, %v, %q, %d\n%s",
					seed, step, members, v.Level, f.Leader, f.Generation, state, level, leader, generation, strings.Join(told(events), "\n"))
			}
		}
	}
}

// wander changes some of what is known, as a cluster may: a member's reach, its state, who is a
// member, who leads, and what was cleared.
func wander(random *rand.Rand, was Facts) Facts {
	f := was
	f.Members = slices.Clone(was.Members)
	for range 1 + random.IntN(3) {
		i := 1 + random.IntN(len(f.Members)-1)
		m := &f.Members[i]
		switch random.IntN(8) {
		case 0, 1, 2:
			if m.State != Vacant {
				m.Reach = Answers + Reach(random.IntN(int(Elsewhere)))
			}
		case 3:
			switch m.State {
			case Active:
				m.State, m.Reach = Vacant, NoConnection
			case Vacant:
				m.State, m.Reach = Rebuilding, Unheard
			case Rebuilding:
				m.State = Active
			case Joining:
				m.State = Active
				f.N++
			}
		case 4:
			if last := f.Members[len(f.Members)-1]; last.State != Joining && f.N < 6 {
				f.Members = append(f.Members, Member{Name: string(rune('a' + random.IntN(26))), State: Joining})
				if slices.ContainsFunc(f.Members[:f.N], func(m Member) bool { return m.Name == f.Members[f.N].Name }) {
					f.Members = f.Members[:f.N]
				}
			}
		case 5:
			if f.N > 2 || m.State == Joining {
				if m.State != Joining {
					f.N--
				}
				f.Members = slices.Delete(f.Members, i, i+1)
			}
		case 6:
			f.Leader = []string{"", "a", "b"}[random.IntN(3)]
		case 7:
			if f.Generation == was.Generation {
				f.Generation++
			}
		}
	}
	f.R, f.W = f.N/2+1, f.N/2+1
	return f
}
