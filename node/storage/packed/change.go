package packed

import "encoding/binary"

// Append adds a record and returns the longer block, which shares b's memory. cap(b) must be at
// least what Grown returns for the record.
func (b Block) Append(fingerprint byte, key, meta, value []byte) Block {
	size := RecordBytes(len(key), len(meta), len(value))
	b, at := b.extend(fingerprint, size)
	putLengths(b[at:], len(key), len(meta), len(value))
	at += lengthBytes
	at += copy(b[at:], key)
	at += copy(b[at:], meta)
	copy(b[at:], value)
	return b
}

// AppendFrom adds a copy of the record that lies between two positions of another block. Otherwise
// it is as Append.
func (b Block) AppendFrom(fingerprint byte, from Block, begin, end int) Block {
	b, at := b.extend(fingerprint, end-begin)
	copy(b[at:], from[begin:end])
	return b
}

// extend makes a slot, and room for a record at the end. It returns the position of that room.
func (b Block) extend(fingerprint byte, size int) (longer Block, at int) {
	n, end := b.count(), len(b)
	b = b[:b.Grown(size)]
	if n%groupSlots == 0 {
		from, to := first(n), first(n+1)
		if n > 0 {
			copy(b[to:], b[from:end])
			end += groupBytes
		} else {
			end = to
		}
		clear(b[from:to])
	}
	binary.LittleEndian.PutUint16(b, uint16(n+1))
	b[mark(n)] = fingerprint
	b.setOffset(n, end-first(n+1))
	return b, end
}

// Replaced returns the length that the block would have after the record of a slot was given
// metadata and a value of these lengths.
func (b Block) Replaced(slot, meta, value int) int {
	_, oldMeta, oldValue := lengths(b[b.First()+b.offset(slot):])
	return len(b) + meta + value - oldMeta - oldValue
}

// Replace gives the record of a slot other metadata and another value. It works in place when the
// length stays, and otherwise moves what lies behind the record. cap(b) must be at least what
// Replaced returns. meta and value must not lie in the block.
func (b Block) Replace(slot int, meta, value []byte) Block {
	offset := b.offset(slot)
	at := b.First() + offset
	key, oldMeta, oldValue := lengths(b[at:])
	tail := at + lengthBytes + key + oldMeta + oldValue
	if d := len(meta) + len(value) - oldMeta - oldValue; d != 0 {
		b = b.shift(tail, d)
		b.slide(offset, d)
	}
	putLengths(b[at:], key, len(meta), len(value))
	at += lengthBytes + key
	at += copy(b[at:], meta)
	copy(b[at:], value)
	return b
}

// Remove takes the record of a slot out. The last slot moves to the free place.
func (b Block) Remove(slot int) Block {
	n := b.count()
	if n == 1 {
		return b[:0]
	}
	offset := b.offset(slot)
	at := b.First() + offset
	key, meta, value := lengths(b[at:])
	size := RecordBytes(key, meta, value)
	b = b.shift(at+size, -size)
	b.slide(offset, -size)

	last := n - 1
	b[mark(slot)] = b[mark(last)]
	b.setOffset(slot, b.offset(last))
	b[mark(last)] = 0
	b.setOffset(last, 0)
	binary.LittleEndian.PutUint16(b, uint16(last))
	if first(last) < first(n) {
		b = b.shift(first(n), -groupBytes)
	}
	return b
}

// shift moves everything from a position on by d bytes, and returns the block of the new length.
func (b Block) shift(from, d int) Block {
	if d > 0 {
		end := len(b)
		b = b[:end+d]
		copy(b[from+d:], b[from:end])
		return b
	}
	copy(b[from+d:], b[from:])
	return b[:len(b)+d]
}

// slide adds d to all offsets that are above the given one.
func (b Block) slide(above, d int) {
	for slot, n := 0, b.count(); slot < n; slot++ {
		if o := b.offset(slot); o > above {
			b.setOffset(slot, o+d)
		}
	}
}
