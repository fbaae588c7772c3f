package extent

// Stats is a pool's state.
type Stats struct {
	InUse    int64 // bytes of extents that have a block out
	Blocks   int64 // bytes of the blocks that are out
	Resting  int64 // bytes of empty extents that stay resident
	Released int64 // bytes of empty extents whose pages were given back
	Mapped   int64 // bytes of address space
}

// InUse returns the bytes of all extents of which a block is out. Empty extents do not count: the
// next block of any size takes one of them first.
func (p *Pool) InUse() int64 { return p.inUse.Load() * Bytes }

// Stats returns the pool's state. It reads the parts one after the other.
func (p *Pool) Stats() (s Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.InUse = p.InUse()
	s.Blocks = p.blocks.Load()
	s.Resting = int64(p.resting.n) * Bytes
	s.Released = int64(p.cold.n) * Bytes
	s.Mapped = int64(p.mapped) * regionBytes
	return s
}
