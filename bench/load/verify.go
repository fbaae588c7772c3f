package load

import (
	"context"
	"math/bits"
	"time"

	"viakv/api/client"
	"viakv/bench/workload"
)

// bitmap is a set of indices.
type bitmap []uint64

// newBitmap returns an empty set with room for the indices below n.
func newBitmap(n uint64) bitmap { return make(bitmap, (n+63)/64) }

// has reports whether i is in the set.
func (b bitmap) has(i uint64) bool { return b[i/64]&(1<<(i%64)) != 0 }

// add puts i into the set. It returns false when i was there.
func (b bitmap) add(i uint64) bool {
	if b.has(i) {
		return false
	}
	b[i/64] |= 1 << (i % 64)
	return true
}

// count returns how many indices are in the set.
func (b bitmap) count() (n uint64) {
	for _, w := range b {
		n += uint64(bits.OnesCount64(w))
	}
	return n
}

// Verified is what a scan found.
type Verified struct {
	Kind     string  `json:"kind"`
	Pairs    int64   `json:"pairs"`
	Bytes    int64   `json:"bytes"` // of the rows
	Seconds  float64 `json:"seconds"`
	First    float64 `json:"first"`    // seconds to the first pair
	Expected uint64  `json:"expected"` // keys that must be there; 0: not checked
	Missing  uint64  `json:"missing"`
	Wrong    int64   `json:"wrong"`   // values that the key space does not give for their key
	Twice    int64   `json:"twice"`   // keys that came more than once
	Foreign  int64   `json:"foreign"` // keys outside the key space
	Error    string  `json:"error,omitempty"`

	present bitmap // keys that came with a right value
}

// Complete reports whether the scan ended and no expected key was missing, wrong or seen twice.
func (v *Verified) Complete() bool {
	return v.Error == "" && v.Missing == 0 && v.Wrong == 0 && v.Twice == 0
}

// PairsPerSecond returns the mean over the whole scan.
func (v *Verified) PairsPerSecond() float64 { return float64(v.Pairs) / max(v.Seconds, 1e-9) }

// MBPerSecond returns the mean over the whole scan, in millions of bytes.
func (v *Verified) MBPerSecond() float64 { return float64(v.Bytes) / 1e6 / max(v.Seconds, 1e-9) }

// kindName returns the name of a scan's kind for reports and flags.
func kindName(k client.Kind) string {
	return map[client.Kind]string{client.ScanAll: "getAll", client.ScanKeys: "getKeys", client.ScanValues: "getValues"}[k]
}

// ScanOptions describe a scan.
type ScanOptions struct {
	Keys workload.Keys
	// Expected is how many of the first keys of the space must be there. 0: only count pairs.
	Expected uint64
	PageSize int // 0: one stream
	// Progress is called once every 16,384 pairs. Nil: not called.
	Progress func(pairs int64)
}

const progressEvery = 1 << 14

// Verify scans the store once. An error of the scan is part of the result (B5).
func Verify(ctx context.Context, c *client.Client, kind client.Kind, o ScanOptions) *Verified {
	v := &Verified{Kind: kindName(kind), Expected: o.Expected, present: newBitmap(o.Expected)}
	seen := newBitmap(o.Expected)
	began := time.Now()
	s := c.Scan(ctx, kind, client.ScanOptions{PageSize: o.PageSize})
	defer s.Close()
	for s.Next() {
		if v.Pairs++; v.Pairs == 1 {
			v.First = time.Since(began).Seconds()
		}
		if o.Progress != nil && v.Pairs%progressEvery == 0 {
			o.Progress(v.Pairs)
		}
		if kind == client.ScanValues || o.Expected == 0 {
			continue
		}
		// A key that must be there has to come once, and with a right value.
		i, ours := o.Keys.Index(s.Key())
		if !ours || i >= o.Expected {
			v.Foreign++
			continue
		}
		if !seen.add(i) {
			v.Twice++
		}
		if kind == client.ScanAll && !o.Keys.Matches(i, s.Value()) {
			v.Wrong++
			continue
		}
		v.present.add(i)
	}
	v.Seconds, v.Bytes = time.Since(began).Seconds(), s.Bytes()
	if err := s.Err(); err != nil {
		v.Error = err.Error()
	}
	switch {
	case kind == client.ScanValues && uint64(v.Pairs) < o.Expected:
		v.Missing = o.Expected - uint64(v.Pairs)
	case kind != client.ScanValues:
		v.Missing = o.Expected - seen.count()
	}
	return v
}
