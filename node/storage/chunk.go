package storage

import (
	"viakv/node/storage/extent"
	"viakv/node/storage/packed"
	"viakv/quorum/replica"
)

// room returns a block of the bucket with room for one more record of so many bytes. It may move
// the bucket's blocks.
func (t *table) room(b *bucket, record int) (*chunk, packed.Block) {
	for c := &b.chunk; c.cap != 0; c = &t.links[c.next-1] {
		block := t.bytes(c)
		if n := block.Grown(record); n <= packed.MaxBytes {
			if n > int(c.cap) {
				block = t.move(c, n)
			}
			return c, block
		}
		if c.next == 0 {
			break
		}
	}
	if b.cap != 0 {
		t.push(b)
	}
	block := t.allocate(&b.chunk, packed.Block(nil).Grown(record))
	return &b.chunk, block
}

// push moves the bucket's first block to second place in the chain, and leaves the first place
// without a block.
func (t *table) push(b *bucket) {
	i := t.spare
	if i == 0 {
		before := cap(t.links)
		t.links = append(t.links, chunk{})
		t.space.headerBytes.Add(int64(cap(t.links)-before) * linkBytes)
		i = uint32(len(t.links))
	} else {
		t.spare = t.links[i-1].next
	}
	t.links[i-1] = b.chunk
	b.chunk = chunk{next: i}
}

// pull undoes push.
func (t *table) pull(c *chunk) {
	i := c.next
	*c = t.links[i-1]
	t.links[i-1] = chunk{next: t.spare}
	t.spare = i
}

// allocate gives a chunk an empty block of at least n bytes.
func (t *table) allocate(c *chunk, n int) packed.Block {
	ref, size := t.space.pool.Allocate(n)
	c.block, c.used, c.cap = ref, 0, uint16(size)
	t.blocks += int64(size)
	return t.bytes(c)
}

// move gives a chunk a new block of at least n bytes, with the content of its old one.
func (t *table) move(c *chunk, n int) packed.Block {
	old := *c
	block := t.allocate(c, n)[:old.used]
	copy(block, t.bytes(&old))
	c.used = old.used
	t.release(&old)
	return block
}

// tidy looks at one bucket, and moves its first block to a fuller extent if that helps. The next
// call looks at the next bucket. It runs once for each record that is removed, and for each one
// that is replaced by one of another length. So a store whose sizes drift is packed anew, at the
// pace of the drift.
func (t *table) tidy() {
	if t.tidyNext++; t.tidyNext >= t.count() {
		t.tidyNext = 0
	}
	if c := &t.bucket(t.tidyNext).chunk; c.cap != 0 && t.space.pool.Sparse(c.block) {
		t.move(c, int(c.used))
	}
}

// release frees a chunk's block.
func (t *table) release(c *chunk) {
	t.space.pool.Free(c.block)
	t.blocks -= int64(c.cap)
}

// resized notes a block's new length. If a block of a smaller class would hold it with an eighth to
// spare, the content moves there. Without the spare eighth, a record that shrinks and grows in turn
// would move its block each time.
func (t *table) resized(c *chunk, block packed.Block) {
	t.used += int64(len(block)) - int64(c.used)
	c.used = uint16(len(block))
	if roomy := len(block) + len(block)/8; roomy < int(c.cap) && extent.Round(roomy) < int(c.cap) {
		t.move(c, len(block))
	}
}

// drop takes a record out of its block. If the block is then empty, drop takes it out of the chain.
func (t *table) drop(at place) {
	block := at.block.Remove(at.slot)
	if len(block) > 0 {
		t.resized(at.chunk, block)
		return
	}
	t.used -= int64(at.chunk.used)
	t.release(at.chunk)
	switch {
	case at.chunk.next != 0:
		t.pull(at.chunk)
	case at.chunk == &at.bucket.chunk:
		*at.chunk = chunk{}
	default:
		c := &at.bucket.chunk
		for &t.links[c.next-1] != at.chunk {
			c = &t.links[c.next-1]
		}
		next := c.next
		c.next = 0
		t.links[next-1] = chunk{next: t.spare}
		t.spare = next
	}
}

// discard frees all blocks of a bucket and leaves it empty.
func (t *table) discard(b *bucket) {
	for b.cap != 0 {
		t.used -= int64(b.used)
		t.release(&b.chunk)
		if b.next == 0 {
			b.chunk = chunk{}
			break
		}
		t.pull(&b.chunk)
	}
	b.setDigest(replica.Digest{})
}
