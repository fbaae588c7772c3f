package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// Mix is the share of each operation, in parts of their sum.
type Mix struct {
	Get, Set, Has, Remove int
	Insert                int // sets of new keys
	Modify                int // a get, followed by a set of the same key
}

// ycsb has the workloads of the Yahoo! Cloud Serving Benchmark that have a meaning here. Workload e
// scans ranges, which a hash space does not have.
var ycsb = map[string]struct {
	mix          Mix
	distribution string
}{
	"a": {Mix{Get: 50, Set: 50}, "zipfian"},
	"b": {Mix{Get: 95, Set: 5}, "zipfian"},
	"c": {Mix{Get: 100}, "zipfian"},
	"d": {Mix{Get: 95, Insert: 5}, "latest"},
	"f": {Mix{Get: 50, Modify: 50}, "zipfian"},
}

// ParseMix parses the letter of a YCSB workload, or shares like "get=95,set=5". It also returns the
// distribution that goes with the mix.
func ParseMix(s string) (m Mix, distribution string, err error) {
	if !strings.Contains(s, "=") {
		y, ok := ycsb[strings.ToLower(s)]
		if !ok {
			return m, "", fmt.Errorf("mix %q: choose a, b, c, d or f, or give shares as in get=95,set=5", s)
		}
		return y.mix, y.distribution, nil
	}
	shares := map[string]*int{"get": &m.Get, "set": &m.Set, "is": &m.Has, "rm": &m.Remove, "insert": &m.Insert, "modify": &m.Modify}
	for part := range strings.SplitSeq(s, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(part), "=")
		share := shares[name]
		n, err := strconv.Atoi(number)
		if share == nil || err != nil || n < 0 || n > 1_000_000 {
			return m, "", fmt.Errorf("share %q: give get, set, is, rm, insert or modify, and a number, as in get=95,set=5", part)
		}
		*share += n
	}
	if m.sum() == 0 {
		return m, "", fmt.Errorf("mix %q: all shares are zero", s)
	}
	return m, "zipfian", nil
}

func (m Mix) sum() int { return m.Get + m.Set + m.Has + m.Remove + m.Insert + m.Modify }
