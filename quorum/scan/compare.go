package scan

import (
	"context"
	"errors"
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
)

// A scan asks often. A member that keeps it waiting must not do so each time.
const (
	slowFor  = 3 * time.Second
	lookPart = 4 // a question may take a quarter of a request's time-out; then others are asked
)

// compare asks so many peers for the digests of the buckets' ranges. It reports for each bucket
// whether they agree with the copy.
func (x *scanner) compare(v *replica.View, buckets []*Bucket, more int) ([]bool, error) {
	agreed := make([]bool, len(buckets))
	for i := range agreed {
		agreed[i] = true
	}
	if more == 0 {
		return agreed, nil
	}
	for begin := 0; begin < len(buckets); begin += maxRanges {
		part := buckets[begin:min(begin+maxRanges, len(buckets))]
		x.ranges = x.ranges[:0]
		for _, b := range part {
			x.ranges = append(x.ranges, b.Range)
		}
		if err := x.askDigests(v, more); err != nil {
			return nil, err
		}
		for _, m := range x.peers {
			for i, b := range part {
				if x.theirs[m][i] != b.Digest {
					agreed[begin+i] = false
				}
			}
		}
	}
	return agreed, nil
}

// alone reports whether this node's copy holds all that was complete before the call, so that what
// is looked up afterwards needs no peer (L3).
func (x *scanner) alone(v *replica.View) bool {
	if !v.Leases || x.options.R != kv.QuorumDefault {
		return false
	}
	v.Held.Use()
	return v.Alone()
}

// others returns how many peers must agree with this node's copy: as many as a read asks, and at
// least as many as make its answer firm (D4).
func (x *scanner) others(v *replica.View) (int, error) {
	need, weak, err := x.quorum(v)
	if !weak {
		need = max(need, v.W)
	}
	return need - 1, err
}

// quorum returns how many replicas the scan asks by its r. weak reports whether it asks for less
// than the promise: its r does not overlap with the mesh's W.
func (x *scanner) quorum(v *replica.View) (r int, weak bool, err error) {
	r, err = v.ReadQuorum(x.options.R)
	return r, r+v.W <= v.Slots, err
}

// askDigests gets the digests of x.ranges from as many peers as are needed. A peer that
// does not answer is replaced by another. The peers asked first change from round to round, so that
// all share the work.
func (x *scanner) askDigests(v *replica.View, need int) error {
	x.peers = x.peers[:0]
	candidates := x.candidates(v)
	for len(x.peers) < need {
		ask := candidates[:min(need-len(x.peers), len(candidates))]
		candidates = candidates[len(ask):]
		if len(ask) == 0 {
			return kv.ErrTooFewReplicas
		}
		errs := make([]error, len(ask))
		var asking sync.WaitGroup
		for i, m := range ask {
			asking.Go(func() {
				ctx, cancel := context.WithTimeout(x.ctx, x.scans.cfg.Timeout/lookPart)
				defer cancel()
				x.theirs[m], errs[i] = x.scans.cfg.Peers.Digests(ctx, v, &v.Members[m], x.ranges, x.theirs[m][:0])
			})
		}
		asking.Wait()
		for i, m := range ask {
			switch {
			case errors.Is(errs[i], replica.ErrEpoch):
				return replica.ErrEpoch
			case errs[i] == nil && len(x.theirs[m]) == len(x.ranges):
				x.peers = append(x.peers, m)
			default:
				x.slow[m] = time.Now().Add(slowFor)
			}
		}
	}
	return nil
}

// candidates lists the other active members in turn. Those that are likely to answer come first.
func (x *scanner) candidates(v *replica.View) []int {
	var likely, unlikely []int
	now := time.Now()
	for i := range v.Slots {
		m := (x.turn + i) % v.Slots
		switch {
		case m == v.Self || v.Members[m].Incarnation == 0:
		case x.scans.cfg.Peers.Answers(v, m) && now.After(x.slow[m]):
			likely = append(likely, m)
		default:
			unlikely = append(unlikely, m)
		}
	}
	x.turn++
	return append(likely, unlikely...)
}
