package quorum

import (
	"runtime"
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// gathering brings the sets that come to a node at the same time into one operation (many.go). They
// share its messages, so the more callers there are, the less each set costs.
//
// The first set of an operation yields once, so that the others that are ready to run can join it.
// It does not where it is likely to be the only one: none of the last sets has met another one.
// Where several operations are under way, it waits for the end of one. So more callers make the
// operations larger, not more.
type gathering struct {
	mu       sync.Mutex
	next     *crowd        // it gathers; nil: there is none
	company  int           // for how many more sets others are expected
	underway chan struct{} // has a token of each operation under way that found room
	crowds   sync.Pool
}

// crowd is the sets of one operation. The caller of the first one runs it.
type crowd struct {
	sets  []*setter
	bytes int // of their keys and values
	// hasRoom says that its operation counts towards maxUnderway.
	hasRoom bool
}

const (
	// companyLasts is for how many sets others are expected after one was met. The first of many
	// that are ready to run meets none.
	companyLasts = 64
	// maxSetBytes is from which size on an operation gathers no more, in bytes of keys and values.
	maxSetBytes = 64 << 10
	// maxApart is how far the deadlines may lie apart of sets that share an operation. It ends with
	// that of the first.
	maxApart = 50 * time.Millisecond
	// maxUnderway is how many operations are under way before the next one waits, and keeps
	// gathering. It does not wait longer than maxGather: they may wait for a member themselves.
	maxUnderway = 3
	maxGather   = 10 * time.Millisecond
)

// setter is the set of one request.
type setter struct {
	key, value []byte
	deadline   time.Time
	done       chan struct{} // gets a token when tag and err are set
	tag        version.Tag
	err        error
}

func newGathering() gathering {
	return gathering{
		underway: make(chan struct{}, maxUnderway),
		crowds:   sync.Pool{New: func() any { return new(crowd) }},
	}
}

// byLease stores a value without asking anybody before. Where the replicas have to be asked first,
// it does nothing and returns errAsk.
func (c *Coordinator) byLease(key, value []byte, opt kv.Options) (version.Tag, error) {
	if v := c.cfg.Views.Current(); v == nil || !v.Leases || opt.R != kv.QuorumDefault {
		return version.Tag{}, errAsk
	}
	s := c.setters.Get().(*setter)
	s.key, s.value, s.deadline = key, value, opt.Deadline
	if opt.W != kv.QuorumDefault {
		c.setAll([]*setter{s}, opt)
	} else if mine := c.gathering.join(s); mine != nil {
		c.gathering.await(mine, opt.Deadline)
		c.setAll(mine.sets, opt)
		c.gathering.end(mine)
	}
	<-s.done
	tag, err := s.tag, s.err
	s.key, s.value, s.err = nil, nil, nil
	c.setters.Put(s)
	return tag, err
}

// join lets a set join those that gather. If it is the first of a crowd, join returns that, and the
// caller must await and run it.
func (g *gathering) join(s *setter) (mine *crowd) {
	g.mu.Lock()
	to := g.next
	if to == nil || !to.takes(s) {
		to = g.crowds.Get().(*crowd)
		g.next, mine = to, to
		if g.company > 0 {
			g.company--
		}
	} else {
		g.company = companyLasts
	}
	to.sets = append(to.sets, s)
	to.bytes += len(s.key) + len(s.value)
	others := mine != nil && g.company > 0
	g.mu.Unlock()
	if others {
		runtime.Gosched()
	}
	return mine
}

// takes reports whether one more set may join.
func (c *crowd) takes(s *setter) bool {
	apart := s.deadline.Sub(c.sets[0].deadline).Abs()
	return len(c.sets) < MaxRecords && c.bytes < maxSetBytes && apart <= maxApart
}

// await waits until few enough operations are under way, for some time. Then nobody joins the crowd
// any more.
func (g *gathering) await(mine *crowd, deadline time.Time) {
	select {
	case g.underway <- struct{}{}:
		mine.hasRoom = true
	default:
		timer := time.NewTimer(min(maxGather, time.Until(deadline)))
		select {
		case g.underway <- struct{}{}:
			mine.hasRoom = true
		case <-timer.C:
		}
		timer.Stop()
	}
	g.mu.Lock()
	if g.next == mine {
		g.next = nil
	}
	g.mu.Unlock()
}

// end takes a crowd back whose operation has returned.
func (g *gathering) end(mine *crowd) {
	if mine.hasRoom {
		<-g.underway
	}
	clear(mine.sets)
	mine.sets, mine.bytes, mine.hasRoom = mine.sets[:0], 0, false
	g.crowds.Put(mine)
}

// setAll runs sets as one operation, with the options and until the deadline of the first.
func (c *Coordinator) setAll(sets []*setter, opt kv.Options) {
	op, err := c.begin(nil, opt)
	if err != nil {
		for _, s := range sets {
			s.end(version.Tag{}, err)
		}
		return
	}
	for _, s := range sets {
		op.addItem(s)
	}
	op.writeItems()
}

// end tells the outcome of a set. Its key and value must not be used afterwards.
func (s *setter) end(tag version.Tag, err error) {
	s.tag, s.err = tag, err
	s.done <- struct{}{}
}
