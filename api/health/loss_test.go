package health

import (
	"fmt"
	"math/bits"
	"testing"
)

// Loss is nil exactly when each acknowledged write is on a copy that stays at hand, wherever its W
// copies are. This tries all clusters of up to six members, each of them answering, away or
// restarted, each W, and each member to be removed.
func TestLossIsWhatMayBeOnNoCopy(t *testing.T) {
	reaches := []Reach{Answers, Silent, Restarted}
	for n := 1; n <= 6; n++ {
		cases := 1
		for range n {
			cases *= len(reaches)
		}
		for code := range cases {
			f := &Facts{Self: "0", N: n, R: n, Leader: "0"}
			copies, code := uint(0), code
			for i := range n {
				f.Members = append(f.Members, Member{Name: fmt.Sprint(i), State: Active, Reach: reaches[code%len(reaches)]})
				if f.Members[i].Reach == Answers {
					copies |= 1 << i
				}
				code /= len(reaches)
			}
			for f.W = 1; f.W <= n; f.W++ {
				verdict := Judge(f)
				for removed := -1; removed < n; removed++ {
					name, stay := "", copies
					if removed >= 0 {
						name, stay = fmt.Sprint(removed), copies&^(1<<removed)
					}
					lost := somewhereElse(n, f.W, stay)
					l := verdict.Loss(name)
					if (l != nil) != lost {
						t.Fatalf("W=%d, %+v without %q: loss is %v, want one: %v", f.W, f.Members, name, l, lost)
					}
					if l != nil && (l.N != n || l.W != f.W || l.Copies != bits.OnesCount(stay) || l.Need != n-f.W+1) {
						t.Fatalf("W=%d, %+v without %q: %+v", f.W, f.Members, name, l)
					}
				}
			}
		}
	}
}

// somewhereElse reports whether w of n members can hold a write of which no copy is in a set.
func somewhereElse(n, w int, set uint) bool {
	for held := range uint(1) << n {
		if bits.OnesCount(held) == w && held&set == 0 {
			return true
		}
	}
	return false
}

func TestLossInWords(t *testing.T) {
	for _, c := range []struct {
		r, w    int
		members string
		removed string
		want    string
	}{
		{2, 2, "a b c", "", ""},
		{2, 2, "a b c:silent", "", ""},
		{2, 2, "a b c:silent", "c", ""},
		{2, 2, "a b c", "c", ""},
		{1, 3, "a b:restarted c:restarted", "b", ""}, // each copy has all
		{2, 2, "a b:silent c:silent", "",
			"writes acknowledged by 2 of 3 members may be lost: 1 full copy is at hand, and 2 would rule that out; b and c may still bring back what they hold"},
		{2, 2, "a b:silent c:silent", "b", "writes acknowledged by 2 of 3 members may be lost: 1 full copy is at hand, and 2 would rule that out; " +
			"what only b held is gone, and c may still bring back what it holds"},
		{2, 2, "a b:restarted c:restarted", "b", "writes acknowledged by 2 of 3 members may be lost: 1 full copy is at hand, and 2 would rule that out; " +
			"what only b and c held is gone"},
		{2, 2, "a b:vacant c:rebuilding", "", "writes acknowledged by 2 of 3 members may be lost: 1 full copy is at hand, and 2 would rule that out; " +
			"what only b and c held is gone"},
		{2, 2, "a b c:restarted", "b", "writes acknowledged by 2 of 3 members may be lost: 1 full copy is at hand, and 2 would rule that out; " +
			"what only c and b held is gone"},
		{2, 2, "a b", "b", ""},
		{1, 1, "a b", "b", "writes acknowledged by 1 of 2 members may be lost: 1 full copy is at hand, and 2 would rule that out; what only b held is gone"},
		{3, 3, "a:rebuilding b:silent c:elsewhere d:restarted e:no-connection", "d", "writes acknowledged by 3 of 5 members may be lost: 0 full copies are at hand, and 3 would rule that out; " +
			"what only a and d held is gone, and b, c and e may still bring back what they hold"},
	} {
		got := ""
		verdict := Judge(facts(c.r, c.w, c.members))
		if l := verdict.Loss(c.removed); l != nil {
			got = l.String()
		}
		if got != c.want {
			t.Errorf("%s without %q:\n%q, want\n%q", c.members, c.removed, got, c.want)
		}
	}
}

// Asking what a removal loses changes nothing of the verdict.
func TestLossLeavesTheVerdictAlone(t *testing.T) {
	v := Judge(facts(2, 2, "a b:silent c:restarted"))
	first := v.Loss("b").String()
	v.Loss("a")
	if again := v.Loss("b").String(); again != first {
		t.Errorf("%q, then %q", first, again)
	}
	if v.Answering != 1 || len(v.Lost) != 1 || len(v.Away) != 1 {
		t.Errorf("%+v", v)
	}
}
