package extent

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
)

// Bytes is the length of an extent.
const Bytes = 1 << extentBits

const (
	extentBits = 17
	mapWords   = Bytes / MinBytes / 64
	none       = ^uint32(0)

	// reserve is how many empty extents stay resident for the next class that needs one: 32 MiB.
	reserve = 32 << 20 / Bytes
)

// Ref names a block: its place in the concatenation of all regions.
type Ref uint64

// Pool is a set of extents. Its methods, but for Close, are safe for concurrent use.
type Pool struct {
	huge    bool
	classes [classes]class
	inUse   atomic.Int64

	mu      sync.Mutex
	mapped  int    // regions
	fresh   uint32 // extents that were ever handed out
	resting stack  // empty, resident
	cold    stack  // empty, their pages given back
	regions [maxRegions]region
}

type region struct {
	bytes   []byte
	extents []extent
}

// extent is the book of one extent. The lock of its class guards it while it has one, and else the pool's.
type extent struct {
	free       [mapWords]uint64 // bit set: the block is free
	next, prev uint32           // in its class's list of extents with room, or in the pool's stack
	room       uint16           // free blocks
	class      uint8
}

// class is one block size.
type class struct {
	mu     sync.Mutex
	listed bool   // head is meant; the zero value is an empty list
	head   uint32 // extents with room; those that were full come first, so that the emptier ones may run dry
	out    int64  // blocks handed out
}

type stack struct {
	top uint32 // the extent plus one
	n   int
}

// New returns an empty pool. Huge pages make lookups faster and the first touch of memory slower.
func New(hugePages bool) *Pool { return &Pool{huge: hugePages} }

// Close gives all memory back. No block may be used any more.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.mapped {
		release(p.regions[i].bytes)
		p.regions[i] = region{}
	}
	p.mapped = 0
}

// Allocate returns a block of at least n bytes and its true length. n must not exceed MaxBytes.
func (p *Pool) Allocate(n int) (Ref, int) {
	k := classOf(n)
	size := classBytes(k)
	c := &p.classes[k]
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.listed {
		i := p.take()
		p.extent(i).begin(k)
		c.push(p, i)
	}
	i := c.head
	e := p.extent(i)
	block := e.pop()
	if e.room == 0 {
		c.unlink(p, i)
	}
	c.out++
	return Ref(uint64(i)<<extentBits + uint64(block*size)), size
}

// Free takes a block back.
func (p *Pool) Free(r Ref) {
	i := uint32(r >> extentBits)
	e := p.extent(i)
	k := int(e.class) // E2
	size := classBytes(k)
	c := &p.classes[k]
	c.mu.Lock()
	e.put(int(r&(Bytes-1)) / size)
	c.out--
	if e.room == 1 {
		c.push(p, i)
	}
	empty := int(e.room) == Bytes/size
	if empty {
		c.unlink(p, i)
	}
	c.mu.Unlock()
	if empty {
		p.giveBack(i)
	}
}

// Bytes returns a block's memory: the first n bytes, with so much capacity.
func (p *Pool) Bytes(r Ref, n, capacity int) []byte {
	at := int(r & (regionBytes - 1))
	return p.regions[r>>regionBits].bytes[at : at+n : at+capacity]
}

func (p *Pool) extent(i uint32) *extent {
	const perRegion = regionBits - extentBits
	return &p.regions[i>>perRegion].extents[i&(1<<perRegion-1)]
}

// take returns an extent without a class.
func (p *Pool) take() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse.Add(1)
	if i, ok := p.resting.pop(p); ok {
		return i
	}
	if i, ok := p.cold.pop(p); ok {
		return i
	}
	if int(p.fresh) == p.mapped<<(regionBits-extentBits) {
		if p.mapped == maxRegions {
			panic(fmt.Sprintf("extent: %d regions of %d MiB are in use; this program cannot address more", maxRegions, regionBytes>>20))
		}
		p.regions[p.mapped] = region{bytes: reserveRegion(p.huge), extents: make([]extent, 1<<(regionBits-extentBits))}
		p.mapped++
	}
	i := p.fresh
	p.fresh++
	return i
}

// giveBack takes an extent whose blocks are all free.
func (p *Pool) giveBack(i uint32) {
	p.mu.Lock()
	p.inUse.Add(-1)
	if p.resting.n < reserve {
		p.resting.push(p, i)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	discard(p.Bytes(Ref(i)<<extentBits, Bytes, Bytes)) // a system call: not under the lock, and the extent is nobody's
	p.mu.Lock()
	p.cold.push(p, i)
	p.mu.Unlock()
}

func (s *stack) push(p *Pool, i uint32) {
	p.extent(i).next = s.top
	s.top = i + 1
	s.n++
}

func (s *stack) pop(p *Pool) (uint32, bool) {
	if s.top == 0 {
		return 0, false
	}
	i := s.top - 1
	s.top = p.extent(i).next
	s.n--
	return i, true
}

func (c *class) push(p *Pool, i uint32) {
	e := p.extent(i)
	e.prev, e.next = none, none
	if c.listed {
		e.next = c.head
		p.extent(c.head).prev = i
	}
	c.head, c.listed = i, true
}

func (c *class) unlink(p *Pool, i uint32) {
	e := p.extent(i)
	if e.next != none {
		p.extent(e.next).prev = e.prev
	}
	if e.prev != none {
		p.extent(e.prev).next = e.next
	} else {
		c.head, c.listed = e.next, e.next != none
	}
}

// begin gives an empty extent to a class.
func (e *extent) begin(class int) {
	n := Bytes / classBytes(class)
	e.class, e.room = uint8(class), uint16(n)
	for w := range e.free {
		switch left := n - 64*w; {
		case left >= 64:
			e.free[w] = ^uint64(0)
		case left > 0:
			e.free[w] = 1<<left - 1
		default:
			e.free[w] = 0
		}
	}
}

func (e *extent) pop() int {
	for w, free := range e.free {
		if free != 0 {
			bit := bits.TrailingZeros64(free)
			e.free[w] &^= 1 << bit
			e.room--
			return 64*w + bit
		}
	}
	panic("extent: an extent in the list of those with room has none")
}

func (e *extent) put(block int) {
	w, bit := block/64, uint64(1)<<(block%64)
	if e.free[w]&bit != 0 {
		panic("extent: a block was freed twice")
	}
	e.free[w] |= bit
	e.room++
}
