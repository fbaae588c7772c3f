package health

import (
	"slices"
	"strings"
	"testing"
)

// Each row is what a node knows, and what its verdict must say of that: the level, who answers of
// how many that have to, and the reason.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name        string
		r, w        int
		members     string
		level       Level
		answering   int
		read, write int // needed
		reason      string
	}{
		{"one", 1, 1, "a", Serving, 1, 1, 1, "a is the only member"},
		{"two", 2, 2, "a b", Serving, 2, 2, 2, "all 2 members answer"},
		{"three", 2, 2, "a b c", Serving, 3, 2, 2, "all 3 members answer"},
		{"five", 3, 3, "a b c d e", Serving, 5, 3, 3, "all 5 members answer"},

		{"one of two", 2, 2, "a b:silent", Refusing, 1, 2, 2, "1 of 2 members answers, and reads and writes need 2: b does not answer"},
		{"two of three", 2, 2, "a b c:silent", Degraded, 2, 2, 2, "2 of 3 members answer, and reads and writes need 2: c does not answer"},
		{"one of three", 2, 2, "a b:silent c:restarted", Refusing, 1, 2, 2,
			"1 of 3 members answers, and reads and writes need 2: b does not answer, c was restarted and has lost its memory"},
		{"each trouble", 4, 4, "a b:vacant c:rebuilding d:silent e:no-connection f:restarted g:elsewhere", Refusing, 1, 4, 4,
			"1 of 7 members answers, and reads and writes need 4: b is gone, c rebuilds, d does not answer, no connection to e, " +
				"f was restarted and has lost its memory, g is not in this cluster any more, or another node answers at its address"},
		{"rebuilds, and is away", 3, 3, "a b:rebuilding:unheard c:rebuilding:silent d:rebuilding:restarted", Refusing, 1, 3, 3,
			"1 of 4 members answers, and reads and writes need 3: b rebuilds, c does not answer, d was restarted and has lost its memory"},
		{"unheard", 2, 2, "a b c:unheard", Degraded, 2, 2, 2, "2 of 3 members answer, and reads and writes need 2: nothing was heard of c yet"},
		{"three of five", 3, 3, "a b c d:vacant e:rebuilding", Degraded, 3, 3, 3, "3 of 5 members answer, and reads and writes need 3: d is gone, e rebuilds"},
		{"two of five", 3, 3, "a b c:silent d:silent e:silent", Refusing, 2, 3, 3,
			"2 of 5 members answer, and reads and writes need 3: c does not answer, d does not answer, e does not answer"},

		{"W is all", 1, 3, "a b c:silent", Refusing, 2, 3, 3, "2 of 3 members answer, and reads and writes need 3: c does not answer"},
		{"both all", 3, 3, "a b c", Serving, 3, 3, 3, "all 3 members answer"},
		{"R is all", 3, 1, "a b c:silent", Refusing, 2, 3, 3, "2 of 3 members answer, and reads and writes need 3: c does not answer"},
		{"raised", 3, 4, "a b c d e:silent", Degraded, 4, 4, 4, "4 of 5 members answer, and reads and writes need 4: e does not answer"},
		{"four", 3, 3, "a b c d:silent", Degraded, 3, 3, 3, "3 of 4 members answer, and reads and writes need 3: d does not answer"},

		{"weak", 1, 2, "a b c", Serving, 3, 1, 2, "all 3 members answer"},
		{"weak, one away", 1, 1, "a b c:silent", ReadsOnly, 2, 1, 3, "2 of 3 members answer, and reads need 1 and writes 3: c does not answer"},
		{"weak, alone", 1, 2, "a b:silent c:silent", ReadsOnly, 1, 1, 2,
			"1 of 3 members answers, and reads need 1 and writes 2: b does not answer, c does not answer"},
		{"weak of five", 2, 3, "a b c:silent d:silent e:silent", ReadsOnly, 2, 2, 3,
			"2 of 5 members answer, and reads need 2 and writes 3: c does not answer, d does not answer, e does not answer"},

		{"full", 2, 2, "a b:full c", ReadsOnly, 3, 2, 2, "b holds as much as the memory limit allows: new values are refused, at all nodes"},
		{"two full", 2, 2, "a:full b:full c:silent", ReadsOnly, 2, 2, 2, "a and b hold as much as the memory limit allows: new values are refused, at all nodes"},
		{"three full", 2, 2, "a:full b:full c:full", ReadsOnly, 3, 2, 2, "a, b and c hold as much as the memory limit allows: new values are refused, at all nodes"},
		{"full and alone", 2, 2, "a:full b:silent c:silent", Refusing, 1, 2, 2,
			"1 of 3 members answers, and reads and writes need 2: b does not answer, c does not answer"},

		{"who joins is full", 2, 2, "a b c d:joining:full", ReadsOnly, 3, 2, 2, "d holds as much as the memory limit allows: new values are refused, at all nodes"},

		{"one joins", 2, 2, "a b c d:joining", Serving, 3, 2, 2, "all 3 members answer"},
		{"who joins does not count", 2, 2, "a b:silent c:silent d:joining", Refusing, 1, 2, 2,
			"1 of 3 members answers, and reads and writes need 2: b does not answer, c does not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Judge(facts(c.r, c.w, c.members))
			if v.Level != c.level || v.Reason != c.reason || v.Answering != c.answering || v.ReadNeed != c.read || v.WriteNeed != c.write {
				t.Errorf("%v: %s: %d answer, %d and %d needed\nwant %v: %s: %d answer, %d and %d needed",
					v.Level, v.Reason, v.Answering, v.ReadNeed, v.WriteNeed, c.level, c.reason, c.answering, c.read, c.write)
			}
			if v.CanRead != (c.level > Refusing) || v.CanWrite != (c.level > ReadsOnly) {
				t.Errorf("%v: can read is %v, can write is %v", c.level, v.CanRead, v.CanWrite)
			}
			if v.Answering != c.answering || v.CopiesNeed != v.N-c.w+1 {
				t.Errorf("%d copies at hand, %d needed", v.Answering, v.CopiesNeed)
			}
			reads, writes := 0, 0
			if v.CanRead {
				reads = c.answering - c.read
			}
			if v.CanWrite {
				writes = c.answering - c.write
			}
			if v.ReadFailures() != reads || v.WriteFailures() != writes {
				t.Errorf("tolerates %d and %d failures, want %d and %d", v.ReadFailures(), v.WriteFailures(), reads, writes)
			}
		})
	}
}

// By lease, a read needs the leases of R-1 others, or of one, where it needs W by quorum.
func TestWhatReadsNeedByLease(t *testing.T) {
	for _, c := range []struct {
		name        string
		r, w        int
		members     string
		level       Level
		read, write int // needed
		reason      string
	}{
		{"majorities", 2, 2, "a b:silent c", Degraded, 2, 2, "2 of 3 members answer, and reads and writes need 2: b does not answer"},
		{"one", 1, 1, "a", Serving, 1, 1, "a is the only member"},
		{"all of two", 1, 2, "a b:silent", Refusing, 2, 2, "1 of 2 members answers, and reads and writes need 2: b does not answer"},
		{"all of three", 1, 3, "a b c:silent", ReadsOnly, 2, 3,
			"2 of 3 members answer, and reads need 2, or 3 where the key's last write is not known to be complete, and writes 3: c does not answer"},
		{"all of three, alone", 1, 3, "a b:silent c:silent", Refusing, 2, 3,
			"1 of 3 members answers, and reads need 2, or 3 where the key's last write is not known to be complete, and writes 3: b does not answer, c does not answer"},
		{"four of five", 2, 4, "a b c d:silent e:silent", ReadsOnly, 2, 4,
			"3 of 5 members answer, and reads need 2, or 4 where the key's last write is not known to be complete, and writes 4: d does not answer, e does not answer"},
		{"R is all", 3, 1, "a b c:silent", Refusing, 3, 3, "2 of 3 members answer, and reads and writes need 3: c does not answer"},
		{"weak", 1, 1, "a b c:silent", ReadsOnly, 1, 3, "2 of 3 members answer, and reads need 1 and writes 3: c does not answer"},
	} {
		f := facts(c.r, c.w, c.members)
		f.Leases = true
		if v := Judge(f); v.Level != c.level || v.Reason != c.reason || v.ReadNeed != c.read || v.WriteNeed != c.write {
			t.Errorf("%s: %v: %s: %d and %d needed\nwant %v: %s: %d and %d needed", c.name, v.Level, v.Reason, v.ReadNeed, v.WriteNeed, c.level, c.reason, c.read, c.write)
		}
	}
}

// Members that do not count are told apart by whether their memory may come back.
func TestWhoIsMissed(t *testing.T) {
	v := Judge(facts(4, 4, "a b:vacant c:rebuilding d:silent e:no-connection f:restarted g:elsewhere h:unheard i:full j:joining:silent"))
	for _, c := range []struct {
		what      string
		got, want []string
	}{
		{"lost", v.Lost, []string{"b", "c", "f"}},
		{"gone", v.Gone, []string{"b"}},
		{"away", v.Away, []string{"d", "e", "g", "h"}},
		{"full", v.Full, []string{"i"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	if v.N != 9 || v.W != 4 || v.Outside {
		t.Errorf("%+v", v)
	}
}

// Members can change while one leads, and while more than half of the members answer, whatever the
// quorums are.
func TestWhenMembersCanChange(t *testing.T) {
	for _, c := range []struct {
		members string
		leader  string
		want    bool
	}{
		{"a", "a", true},
		{"a b", "b", true},
		{"a b:silent", "a", false},
		{"a b c:silent", "b", true},
		{"a b c:silent", "", false},
		{"a b:silent c:silent", "a", false},
		{"a b c:silent d:silent", "a", false},
		{"a b c d:silent e:silent", "a", true},
		{"a b c:rebuilding d:rebuilding e:rebuilding", "a", false},
		{"a b:full c", "a", true},
	} {
		f := facts(1, 1, c.members)
		f.Leader = c.leader
		if v := Judge(f); v.CanChange != c.want {
			t.Errorf("%s with leader %q: %v, want %v", c.members, c.leader, v.CanChange, c.want)
		}
	}
}

// A node that takes no requests refuses all, whoever answers. Its reason is its own. It still
// counts the others.
func TestOutside(t *testing.T) {
	f := facts(2, 2, "a:rebuilding b c")
	f.Outside = "the node is rebuilding: 10 % done"
	v := Judge(f)
	if v.Level != Refusing || !v.Outside || v.Reason != f.Outside || v.CanRead || v.CanWrite || v.CanChange {
		t.Errorf("%+v", v)
	}
	if v.Answering != 2 || v.ReadFailures() != 0 || v.WriteFailures() != 0 {
		t.Errorf("%+v", v)
	}
	before := Judge(&Facts{Self: "a", Outside: "the node has just started"})
	if before.Level != Refusing || before.Reason != "the node has just started" || before.CopiesNeed != 0 || before.Loss("") != nil {
		t.Errorf("%+v", before)
	}
}

// A node whose data is in a database asks nobody else.
func TestADatabase(t *testing.T) {
	v := Judge(&Facts{Self: "a", Store: "postgres"})
	if v.Level != Serving || !v.CanRead || !v.CanWrite || v.CanChange || v.Reason != "the database (postgres) answers" || v.Loss("") != nil {
		t.Errorf("%+v", v)
	}
	v = Judge(&Facts{Self: "a", Store: "postgres", Outside: "PostgreSQL did not answer"})
	if v.Level != Refusing || v.CanRead || v.CanWrite || !v.Outside || v.Reason != "PostgreSQL did not answer" {
		t.Errorf("%+v", v)
	}
}

func TestNamesOfLevelsAndReaches(t *testing.T) {
	var names []string
	for _, l := range Levels() {
		names = append(names, l.String())
	}
	for r := Unheard; r <= Elsewhere+1; r++ {
		names = append(names, r.String())
	}
	names = append(names, levels.String())
	want := "refusing, reads only, degraded, serving, unheard, answers, silent, no connection, restarted, elsewhere, unknown, unknown"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("%s", got)
	}
}

// A node that belongs to no cluster takes no requests, also where it says nothing else.
func TestNoCluster(t *testing.T) {
	if v := Judge(&Facts{Self: "a"}); v.Level != Refusing || v.CanRead || v.CanWrite || v.Reason != "a is no member of a cluster yet" {
		t.Errorf("%+v", v)
	}
}
