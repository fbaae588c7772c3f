package handoff

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring"
	"viakv/ring/keyspace"
)

// The transcripts of testdata/plan drive a plan by hand, and show what it did:
//
//	view epoch=E need=N [gen=G] [purge=P] [resized=E] a=1 b=2 …
//	                the topology: name=incarnation; "-" stands before a name that is not active,
//	                and +E after a member that joined or lost its memory at epoch E
//	start N         up to N more tasks start
//	end N           the oldest N tasks succeed
//	fail NAME       all tasks of a source fail
//	lost            all tasks fail because the epoch is over
//	run             tasks start and end until nothing is left to do
//	pass MS         time passes, in milliseconds
func TestPlanTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/plan", func(t *testing.T, file string) {
		p := &player{t: t, now: time.Unix(0, 0)}
		datadriven.RunTest(t, file, func(_ *testing.T, d *datadriven.TestData) string { return p.command(d) })
	})
}

type player struct {
	t    *testing.T
	out  bytes.Buffer
	plan *plan
	now  time.Time
	open []task
}

func (p *player) command(d *datadriven.TestData) string {
	p.out.Reset()
	number := func(s string) (n int) {
		if _, err := fmt.Sscan(s, &n); err != nil {
			p.t.Fatal(s, err)
		}
		return n
	}
	argument := func() string { return d.CmdArgs[0].Key }
	switch d.Cmd {
	case "view":
		p.view(d.CmdArgs, number)
	case "start":
		p.start(number(argument()))
	case "end":
		p.end(number(argument()))
	case "fail":
		p.fail(func(x task) bool { return x.from.Name == argument() }, errors.New("cut"), false)
	case "lost":
		p.fail(func(task) bool { return true }, replica.ErrEpoch, true)
	case "run":
		for n := 0; ; n++ {
			before := len(p.open)
			p.startQuietly()
			if len(p.open) == 0 || n > 10_000 {
				break
			}
			p.endQuietly(max(1, before))
		}
	case "pass":
		p.now = p.now.Add(time.Duration(number(argument())) * time.Millisecond)
	default:
		d.Fatalf(p.t, "command %q", d.Cmd)
	}
	p.state()
	return p.out.String()
}

// seat adds this node to the members, and sorts the slots.
func seat(v *replica.View, self replica.Member) {
	v.Members = append(v.Members, self)
	slices.SortFunc(v.Members, func(a, b replica.Member) int { return cmp.Compare(a.Name, b.Name) })
	v.Slots = len(v.Members)
	v.Self = slices.IndexFunc(v.Members, func(m replica.Member) bool { return m.Name == self.Name })
}

func (p *player) view(args []datadriven.CmdArg, number func(string) int) {
	v := &replica.View{}
	names := []string{"self"}
	for _, arg := range args {
		switch val := arg.Vals[0]; arg.Key {
		case "epoch":
			v.Epoch = version.Epoch(number(val))
		case "need":
			v.Need = number(val)
		case "gen":
			v.Generation = version.Generation(number(val))
		case "purge":
			v.Purge = uint64(number(val))
		case "resized":
			v.Resized = version.Epoch(number(val))
		default:
			name, pending := strings.CutPrefix(arg.Key, "-")
			incarnation, since, later := strings.Cut(val, "+")
			m := replica.Member{Name: name, Incarnation: version.Incarnation(number(incarnation))}
			if pending {
				m.Incarnation, m.Pending = 0, m.Incarnation
			}
			if later {
				m.Since = version.Epoch(number(since))
			}
			v.Members = append(v.Members, m)
			names = append(names, name)
		}
	}
	v.Ring = ring.Build(names)
	seat(v, replica.Member{Name: "self", Pending: 99})
	if p.plan == nil {
		p.plan = newPlan(v)
		return
	}
	if !p.plan.follow(v) {
		fmt.Fprintln(&p.out, "starts over")
	}
}

func (p *player) start(n int) {
	for range n {
		x, ok, wait := p.plan.next(p.now)
		if !ok {
			fmt.Fprintf(&p.out, "nothing to start, wait %v\n", wait)
			return
		}
		p.open = append(p.open, x)
		fmt.Fprintln(&p.out, "start", x)
	}
}

func (x task) String() string {
	what := "compare"
	if x.copy {
		what = "copy"
	}
	return fmt.Sprintf("%s %d from %s", what, x.partition, x.from.Name)
}

func (p *player) end(n int) {
	for _, x := range p.open[:n] {
		p.plan.end(x, nil, false, p.now)
		fmt.Fprintln(&p.out, "ended", x)
	}
	p.open = slices.Delete(p.open, 0, n)
}

func (p *player) startQuietly() {
	for {
		x, ok, _ := p.plan.next(p.now)
		if !ok {
			return
		}
		p.open = append(p.open, x)
	}
}

func (p *player) endQuietly(n int) {
	for _, x := range p.open[:n] {
		p.plan.end(x, nil, false, p.now)
	}
	p.open = slices.Delete(p.open, 0, n)
}

func (p *player) fail(which func(task) bool, err error, moved bool) {
	p.open = slices.DeleteFunc(p.open, func(x task) bool {
		if which(x) {
			p.plan.end(x, err, moved, p.now)
			fmt.Fprintln(&p.out, "failed", x)
			return true
		}
		return false
	})
}

func (p *player) state() {
	merged, copied := 0, 0
	from := map[version.Incarnation]int{}
	for i := range p.plan.parts {
		merged += len(p.plan.parts[i].from)
		if p.plan.parts[i].copied {
			copied++
		}
		for _, s := range p.plan.parts[i].from {
			from[s]++
		}
	}
	fmt.Fprintf(&p.out, "round %d at %d: %d merged, %d partitions copied, done %v, short %d;", p.plan.round, p.plan.basis.Epoch, merged, copied, p.plan.done(), p.plan.short())
	for _, s := range p.plan.sources {
		fmt.Fprintf(&p.out, " %s busy %d merged %d", s.Name, s.busy, from[s.Incarnation])
		if s.rest.After(p.now) {
			fmt.Fprintf(&p.out, " rests %v", s.rest.Sub(p.now))
		}
	}
	fmt.Fprintln(&p.out)
}

// A plan that is done has merged each partition from as many distinct members as it needs, however
// sources fail and return (H2).
func TestPlanNeverEndsShort(t *testing.T) {
	p := &player{t: t, now: time.Unix(0, 0)}
	v := &replica.View{Epoch: 5, Need: 3, Ring: ring.Build([]string{"a", "b", "c", "d", "self"})}
	for i, n := range []string{"a", "b", "c", "d"} {
		v.Members = append(v.Members, replica.Member{Name: n, Incarnation: version.Incarnation(i + 1)})
	}
	seat(v, replica.Member{Name: "self", Pending: 99})
	p.plan = newPlan(v)
	for step := 0; !p.plan.done(); step++ {
		if step > 5000 {
			t.Fatal("no end")
		}
		p.startQuietly()
		p.now = p.now.Add(7 * time.Millisecond)
		if len(p.open) == 0 {
			continue
		}
		x := p.open[0]
		p.open = p.open[1:]
		var err error
		if step%3 == 0 && x.from.Name < "c" {
			err = errors.New("cut")
		}
		p.plan.end(x, err, false, p.now)
	}
	for i := range keyspace.Partitions {
		from := slices.Clone(p.plan.parts[i].from)
		slices.Sort(from)
		if len(slices.Compact(from)) < 3 {
			t.Fatalf("partition %d was merged from %v", i, from)
		}
	}
}
