package packed

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// twin is the oracle: a map of keys to metadata and value.
type twin map[string][2]string

// script is a block that operations change, and its twin.
type script struct {
	b    Block
	twin twin
}

func fingerprintOf(key []byte) byte { return byte(len(key)) ^ key[0]&3 } // collides often

func (s *script) room(n int) {
	if n > cap(s.b) {
		longer := make(Block, len(s.b), n)
		copy(longer, s.b)
		s.b = longer
	}
	for i := range s.b[len(s.b):cap(s.b)] { // the bytes behind the block must not matter
		s.b[:cap(s.b)][len(s.b)+i] = 0xa5
	}
}

func (s *script) put(key, meta, value []byte) error {
	slot := s.b.Find(fingerprintOf(key), key)
	if _, ok := s.twin[string(key)]; ok != (slot >= 0) {
		return fmt.Errorf("find %q: slot %d, there: %v", key, slot, ok)
	}
	var n int
	if slot >= 0 {
		n = s.b.Replaced(slot, len(meta), len(value))
	} else {
		n = s.b.Grown(RecordBytes(len(key), len(meta), len(value)))
	}
	if n > MaxBytes {
		return nil
	}
	s.room(n)
	if slot >= 0 {
		s.b = s.b.Replace(slot, meta, value)
	} else {
		s.b = s.b.Append(fingerprintOf(key), key, meta, value)
	}
	if len(s.b) != n {
		return fmt.Errorf("the block has %d bytes, announced were %d", len(s.b), n)
	}
	s.twin[string(key)] = [2]string{string(meta), string(value)}
	return nil
}

func (s *script) remove(key []byte) error {
	slot := s.b.Find(fingerprintOf(key), key)
	if _, ok := s.twin[string(key)]; ok != (slot >= 0) {
		return fmt.Errorf("find %q: slot %d, there: %v", key, slot, ok)
	}
	if slot >= 0 {
		s.b = s.b.Remove(slot)
		delete(s.twin, string(key))
	}
	return nil
}

// check compares the block with its twin, by lookups and by a walk.
func (s *script) check() error {
	if err := s.b.Check(); err != nil {
		return err
	}
	if s.b.count() != len(s.twin) {
		return fmt.Errorf("%d records, want %d", s.b.count(), len(s.twin))
	}
	size := 0
	for key, want := range s.twin {
		slot := s.b.Find(fingerprintOf([]byte(key)), []byte(key))
		if slot < 0 {
			return fmt.Errorf("%q is not found", key)
		}
		r := s.b.At(slot)
		if string(r.Key) != key || string(r.Meta) != want[0] || string(r.Value) != want[1] {
			return fmt.Errorf("%q holds %q, %q; want %q", r.Key, r.Meta, r.Value, want)
		}
		size += RecordBytes(len(r.Key), len(r.Meta), len(r.Value))
	}
	if want := Bytes(len(s.twin), size); len(s.b) != want {
		return fmt.Errorf("%d bytes, want %d", len(s.b), want)
	}
	n := 0
	for at := s.b.First(); at < len(s.b); n++ {
		var r Record
		if r, at = s.b.Next(at); s.twin[string(r.Key)] != [2]string{string(r.Meta), string(r.Value)} {
			return fmt.Errorf("the walk meets %q with %q, %q", r.Key, r.Meta, r.Value)
		}
	}
	if n != len(s.twin) {
		return fmt.Errorf("the walk meets %d records of %d", n, len(s.twin))
	}
	return nil
}

func TestBlockIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := script{twin: twin{}}
		keys := rapid.SliceOfNDistinct(rapid.SliceOfN(rapid.Byte(), 1, 20), 1, 60, func(b []byte) string { return string(b) }).Draw(t, "keys")
		keys = append(keys, bytes.Repeat([]byte{1}, MaxKeyBytes), bytes.Repeat([]byte{2}, MaxKeyBytes-1))
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				key := rapid.SampledFrom(keys).Draw(t, "key")
				meta := bytes.Repeat([]byte("m"), rapid.SampledFrom([]int{0, 1, 9, 10, 255, 256, maxMetaBytes}).Draw(t, "meta"))
				value := bytes.Repeat([]byte("v"), rapid.SampledFrom([]int{0, 1, 99, 100, 101, 1024, MaxValueBytes}).Draw(t, "value"))
				if err := s.put(key, meta, value); err != nil {
					t.Fatal(err)
				}
			},
			"remove": func(t *rapid.T) {
				if err := s.remove(rapid.SampledFrom(keys).Draw(t, "key")); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				if err := s.check(); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

func TestAppendFromCopiesARecord(t *testing.T) {
	s := script{twin: twin{}}
	for i := range 20 {
		if err := s.put(fmt.Appendf(nil, "k%d", i), []byte("meta"), bytes.Repeat([]byte("v"), i)); err != nil {
			t.Fatal(err)
		}
	}
	to := script{twin: s.twin}
	for at := s.b.First(); at < len(s.b); {
		r, next := s.b.Next(at)
		to.room(to.b.Grown(next - at))
		to.b = to.b.AppendFrom(fingerprintOf(r.Key), s.b, at, next)
		at = next
	}
	if err := to.check(); err != nil {
		t.Fatal(err)
	}
}

func TestCheckFindsWhatIsBroken(t *testing.T) {
	s := script{twin: twin{}}
	for i := range 11 {
		if err := s.put(fmt.Appendf(nil, "k%d", i), []byte("meta"), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	for name, spoil := range map[string]func(Block) Block{
		"a byte too few":       func(b Block) Block { return b[:len(b)-1] },
		"a byte too many":      func(b Block) Block { return append(b, 0) },
		"no count":             func(b Block) Block { return b[:1] },
		"a count of zero":      func(b Block) Block { b[0], b[1] = 0, 0; return b },
		"a count too high":     func(b Block) Block { b[1] = 9; return b },
		"a longer record":      func(b Block) Block { b[b.First()]++; return b },
		"an offset inside":     func(b Block) Block { b.setOffset(3, b.offset(3)+1); return b },
		"two slots, one place": func(b Block) Block { b.setOffset(3, b.offset(4)); return b },
		"an empty slot's mark": func(b Block) Block { b[mark(12)] = 1; return b },
		"longer than allowed":  func(Block) Block { return make(Block, MaxBytes+1) },
	} {
		if err := spoil(slices.Clone(s.b)).Check(); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The format exists in the memory of a running process only. Yet tools that read a core dump, and
// the callers of Store.Copy, depend on it.
func TestGolden(t *testing.T) {
	b := make(Block, 0, 200)
	b = b.Append(0x11, []byte("a"), []byte{1, 2}, []byte("xyz"))
	b = b.Append(0x22, []byte("bc"), nil, nil)
	want := "0200" + "1122000000000000" + "00000a00000000000000000000000000" + "00020c00" + "61" + "0102" + "78797a" + "01000000" + "6263"
	if got := fmt.Sprintf("%x", []byte(b)); got != want {
		t.Fatalf("\n%s, want\n%s", got, want)
	}
}

func TestNothingAllocates(t *testing.T) {
	b := make(Block, 0, 4096)
	key, meta, value := []byte("key"), []byte("meta"), []byte("value")
	b = b.Append(1, []byte("other"), meta, value)
	n := testing.AllocsPerRun(100, func() {
		b = b.Append(7, key, meta, value)
		slot := b.Find(7, key)
		b = b.Replace(slot, meta, key)
		_ = b.At(slot)
		b = b.Remove(slot)
	})
	if n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// After any script of operations the block holds the same map as its twin.
func FuzzOperations(f *testing.F) {
	f.Add([]byte{0, 1, 5, 9, 0, 2, 0, 0, 1, 1, 0, 1, 200, 3})
	f.Add(bytes.Repeat([]byte{0, 9, 250, 250}, 40))
	f.Fuzz(func(t *testing.T, ops []byte) {
		s := script{twin: twin{}}
		for len(ops) >= 4 {
			key := bytes.Repeat([]byte{ops[1]}, int(ops[1])+1)
			var err error
			if ops[0]%3 < 2 {
				err = s.put(key, bytes.Repeat([]byte{ops[2]}, int(ops[2])*4), bytes.Repeat([]byte{ops[3]}, int(ops[3])*8))
			} else {
				err = s.remove(key)
			}
			if err == nil {
				err = s.check()
			}
			if err != nil {
				t.Fatal(err)
			}
			ops = ops[4:]
		}
	})
}

// Check never panics, and no method panics on a block that Check accepts.
func FuzzCheck(f *testing.F) {
	b := make(Block, 0, 300)
	for i := range 9 {
		b = b.Append(byte(i), fmt.Appendf(nil, "k%d", i), []byte("m"), []byte("value"))
	}
	f.Add([]byte(b), "k3")
	f.Add([]byte{1, 0}, "k")
	f.Add([]byte{}, "k")
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		if len(key) == 0 || len(key) > MaxKeyBytes || Block(data).Check() != nil {
			return
		}
		b := make(Block, len(data), 2*MaxBytes)
		copy(b, data)
		for fingerprint := range 256 {
			if slot := b.Find(byte(fingerprint), []byte(key)); slot >= 0 {
				if r := b.At(slot); string(r.Key) != key {
					t.Fatalf("found %q for %q", r.Key, key)
				}
			}
		}
		n := b.count()
		if b = b.Append(1, []byte(key), []byte("meta"), []byte("value")); len(b) <= MaxBytes && b.Check() != nil {
			t.Fatal(b.Check())
		}
		if b = b.Replace(n, nil, []byte("another value")); len(b) <= MaxBytes && b.Check() != nil {
			t.Fatal(b.Check())
		}
		for ; n >= 0; n-- {
			if b = b.Remove(n / 2); len(b) <= MaxBytes && b.Check() != nil {
				t.Fatal(b.Check())
			}
		}
		if len(b) != 0 {
			t.Fatalf("%d bytes of an empty block", len(b))
		}
	})
}
