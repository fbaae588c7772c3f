package wire

import (
	"bytes"
	"encoding/binary"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// decoder takes values off the front of a message. Once a value is missing, everything read after
// it is zero, and err reports the fault once for all.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) err() error {
	if d.bad {
		return ErrMalformed
	}
	return nil
}

// end returns what err returns, and also ErrMalformed when the message is not used up.
func (d *decoder) end() error {
	if len(d.b) != 0 {
		d.bad = true
	}
	return d.err()
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	x := d.b[0]
	d.b = d.b[1:]
	return x
}

// bool reads what appendBool has written.
func (d *decoder) bool() bool {
	b := d.byte()
	if b > 1 {
		d.bad = true
	}
	return b == 1
}

func (d *decoder) uint64() uint64 {
	if len(d.b) < 8 {
		d.bad, d.b = true, nil
		return 0
	}
	x := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return x
}

func (d *decoder) uvarint() uint64 {
	// One byte is the usual length.
	if len(d.b) > 0 && d.b[0] < 0x80 {
		x := d.b[0]
		d.b = d.b[1:]
		return uint64(x)
	}
	x, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 { // not the shortest form, which no encoder writes (W3)
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return x
}

// count reads the number of things that follow, of which each takes at least min bytes.
func (d *decoder) count(limit, min int) int {
	n := d.uvarint()
	if n > uint64(limit) || n*uint64(min) > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

// bytes reads a string of at most limit bytes. An empty string is not nil.
func (d *decoder) bytes(limit int) []byte {
	n := d.count(limit, 1)
	x := d.b[:n:n]
	d.b = d.b[n:]
	return x
}

// key reads a key: 1 to kv.MaxKeyBytes bytes.
func (d *decoder) key() []byte {
	k := d.bytes(kv.MaxKeyBytes)
	if len(k) == 0 {
		d.bad = true
	}
	return k
}

// record reads a record with its value.
func (d *decoder) record() version.Record {
	r := d.meta()
	if v := d.bytes(kv.MaxValueBytes); r.Live() {
		r.Value = v
	} else if len(v) > 0 {
		d.bad = true
	}
	return r
}

// meta reads a record without its value.
func (d *decoder) meta() version.Record {
	b := d.bytes(version.MaxMetaBytes)
	if d.bad {
		return version.Record{}
	}
	r, err := version.ParseMeta(b)
	if err != nil || !r.Vector.Check() {
		d.bad = true
		return version.Record{}
	}
	return r
}

// tag reads a tag and a tombstone's owner.
func (d *decoder) tag() (version.Tag, version.Operation) {
	r := d.meta()
	if len(r.Vector) > 0 {
		d.bad = true
	}
	return r.Tag, r.Owner
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

func appendRecord(dst []byte, r *version.Record) []byte {
	dst = appendMeta(dst, r)
	return appendBytes(dst, r.Value)
}

// appendMeta writes the metadata's length in front of it without encoding twice. It reserves one
// byte for the length: metadata is nearly always shorter than 128 bytes.
func appendMeta(dst []byte, r *version.Record) []byte {
	mark := len(dst)
	dst = append(dst, 0)
	dst = version.AppendMeta(dst, r)
	n := len(dst) - mark - 1
	if n < 0x80 {
		dst[mark] = byte(n)
		return dst
	}
	meta := bytes.Clone(dst[mark+1:])
	return appendBytes(dst[:mark], meta)
}

func appendTag(dst []byte, t version.Tag, owner version.Operation) []byte {
	r := version.Record{Tag: t, Owner: owner}
	return appendMeta(dst, &r)
}
