package serve

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"viakv/api/kv"
)

// quorumValue is a flag that holds a quorum.
type quorumValue kv.Quorum

func (q *quorumValue) String() string {
	switch quorum := kv.Quorum(*q); quorum {
	case kv.QuorumDefault, kv.QuorumMajority:
		return "majority"
	default:
		return quorum.String()
	}
}

func (q *quorumValue) Set(s string) error {
	switch s {
	case "majority", "quorum":
		*q = quorumValue(kv.QuorumMajority)
	case "all":
		*q = quorumValue(kv.QuorumAll)
	default:
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("%q: want majority, all or a number of nodes", s)
		}
		*q = quorumValue(n)
	}
	return nil
}

func (*quorumValue) Type() string { return "quorum" }

// readsValue is a flag that says how reads are answered.
type readsValue kv.Reads

func (r *readsValue) String() string { return string(cmp.Or(kv.Reads(*r), kv.ReadsLease)) }

func (r *readsValue) Set(s string) error {
	reads, known := kv.ParseReads(s)
	if !known {
		return fmt.Errorf("%q: want %s or %s", s, kv.ReadsLease, kv.ReadsQuorum)
	}
	*r = readsValue(reads)
	return nil
}

func (*readsValue) Type() string { return "lease|quorum" }

// bytesValue is a flag that holds a size: 512MiB, 4GiB, 1000000.
type bytesValue int64

var units = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

func (b *bytesValue) String() string {
	for i := 3; i >= 0; i-- {
		if u := int64(units[i].bytes); int64(*b) >= u && int64(*b)%u == 0 {
			return strconv.FormatInt(int64(*b)/u, 10) + units[i].suffix
		}
	}
	return strconv.FormatInt(int64(*b), 10)
}

func (b *bytesValue) Set(s string) error {
	number, unit := strings.TrimSpace(s), 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if inRange := n >= 0 && n*unit <= 1<<62; err != nil || !inRange { // a comparison with NaN is false
		return fmt.Errorf("%q: want a size such as 512MiB, 4GiB or a number of bytes", s)
	}
	*b = bytesValue(n * unit)
	return nil
}

func (*bytesValue) Type() string { return "size" }
