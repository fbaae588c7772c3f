package handoff

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring"
	"viakv/ring/keyspace"
)

var update = flag.Bool("update", false, "rewrite the transcripts")

// Transcripts drive a plan by hand. Each line of testdata/plan/*.txt that begins with > is a
// command, and what follows is what the plan did:
//
//	> view epoch=E need=N [gen=G] [purge=P] [resized=E] a@1 b@2 …
//	                the topology: name@incarnation, - before a name that is not active, and
//	                +E after one that is a member since epoch E
//	> start N         tasks of N more starts
//	> end N           the oldest N tasks succeed
//	> fail NAME       all tasks of a source fail
//	> lost            all tasks fail because the epoch is over
//	> run             start and end until nothing is left to do
//	> pass MS         time passes
func TestPlanTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/plan/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, script)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, script) {
				t.Errorf("the plan did otherwise (see -update):\n%s", got)
			}
		})
	}
}

type player struct {
	t    *testing.T
	out  bytes.Buffer
	plan *plan
	now  time.Time
	open []task
}

func play(t *testing.T, script []byte) []byte {
	p := &player{t: t, now: time.Unix(0, 0)}
	lines := bufio.NewScanner(bytes.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "> "):
			fmt.Fprintln(&p.out, line)
			p.command(strings.Fields(line[2:]))
		case strings.HasPrefix(line, "#"), line == "":
			fmt.Fprintln(&p.out, line)
		}
	}
	return p.out.Bytes()
}

func (p *player) command(f []string) {
	number := func(s string) (n int) {
		if _, err := fmt.Sscan(s, &n); err != nil {
			p.t.Fatal(s, err)
		}
		return n
	}
	switch f[0] {
	case "view":
		p.view(f[1:], number)
	case "start":
		p.start(number(f[1]))
	case "end":
		p.end(number(f[1]))
	case "fail":
		p.fail(func(x task) bool { return x.from.Name == f[1] }, errors.New("cut"), false)
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
		p.now = p.now.Add(time.Duration(number(f[1])) * time.Millisecond)
	default:
		p.t.Fatalf("command %q", f[0])
	}
	p.state()
}

// seat makes a member this node, and puts all slots into their order.
func seat(v *replica.View, self replica.Member) {
	v.Members = append(v.Members, self)
	slices.SortFunc(v.Members, func(a, b replica.Member) int { return cmp.Compare(a.Name, b.Name) })
	v.Slots = len(v.Members)
	v.Self = slices.IndexFunc(v.Members, func(m replica.Member) bool { return m.Name == self.Name })
}

func (p *player) view(f []string, number func(string) int) {
	v := &replica.View{}
	names := []string{"self"}
	for _, w := range f {
		key, val, pair := strings.Cut(w, "=")
		switch {
		case pair && key == "epoch":
			v.Epoch = version.Epoch(number(val))
		case pair && key == "need":
			v.Need = number(val)
		case pair && key == "gen":
			v.Generation = version.Generation(number(val))
		case pair && key == "purge":
			v.Purge = uint64(number(val))
		case pair && key == "resized":
			v.Resized = version.Epoch(number(val))
		default:
			var m replica.Member
			name, rest, _ := strings.Cut(strings.TrimPrefix(w, "-"), "@")
			incarnation, since, later := strings.Cut(rest, "+")
			if m.Name = name; strings.HasPrefix(w, "-") {
				m.Pending = version.Incarnation(number(incarnation))
			} else {
				m.Incarnation = version.Incarnation(number(incarnation))
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

// However sources fail and return, a plan that is done has merged each partition from as many
// distinct members as it needs (H2).
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
