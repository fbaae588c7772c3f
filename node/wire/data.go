package wire

import (
	"encoding/binary"
	"slices"
	"time"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
)

// ReadRequest is the body of a Read.
type ReadRequest struct {
	Value bool        // whether the value is wanted, too
	Have  version.Tag // the tag that the coordinator holds; the replica answers Same if it holds it, too
	Key   []byte
}

// AppendRead appends the body of a Read.
func AppendRead(dst []byte, r *ReadRequest) []byte {
	dst = appendTag(appendBool(dst, r.Value), r.Have, version.Contested)
	return appendBytes(dst, r.Key)
}

// ParseRead decodes the body of a Read.
func ParseRead(b []byte) (r ReadRequest, err error) {
	d := decoder{b: b}
	r.Value = d.bool()
	r.Have, _ = d.tag()
	r.Key = d.key()
	return r, d.end()
}

// ReadReply is the body of the reply to a Read. A Same carries no record.
type ReadReply struct {
	Full bool // the replica is over its memory limit
	// Confirmed says that the replica knows its record to be complete (L6).
	Confirmed bool
	Names     []lease.Name   // the replica's sessions, looked up after the record
	Record    version.Record // a zero tag: the replica has no record
}

// appendBool appends a flag that takes a byte of its own.
func appendBool(dst []byte, set bool) []byte {
	if set {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// The flags of a ReadReply.
const (
	flagFull = 1 << iota
	flagConfirmed
	endOfFlags
)

// AppendReadReply appends the body of an answer to a Read. In an answer Same it leaves the record
// out.
func AppendReadReply(dst []byte, r *ReadReply, same bool) []byte {
	flags := byte(0)
	if r.Full {
		flags |= flagFull
	}
	if r.Confirmed {
		flags |= flagConfirmed
	}
	dst = appendNames(append(dst, flags), r.Names)
	if same {
		return dst
	}
	return appendRecord(dst, &r.Record)
}

// ParseReadReply decodes the body of an answer to a Read, whose names it appends to a slice. The
// body of a Same has no record.
func ParseReadReply(names []lease.Name, b []byte, same bool) (r ReadReply, err error) {
	d := decoder{b: b}
	flags := d.byte()
	if flags >= endOfFlags {
		d.bad = true
	}
	r.Full, r.Confirmed = flags&flagFull != 0, flags&flagConfirmed != 0
	r.Names = d.names(names)
	if !same {
		m := d.meta()
		m.Value = d.bytes(kv.MaxValueBytes) // empty where it was not asked for
		r.Record = m
	}
	return r, d.end()
}

// StoreRequest is the body of a Vote. The body of Stores is one or more of them.
type StoreRequest struct {
	// Relied is the session of the receiver on which the record rests that was written without
	// asking (L14). Zero: none.
	Relied uint64
	Key    []byte
	Record version.Record
}

// AppendStore appends the body of a Vote, or one record of Stores.
func AppendStore(dst []byte, relied uint64, key []byte, r *version.Record) []byte {
	return appendRecord(appendBytes(binary.AppendUvarint(dst, relied), key), r)
}

// ParseStore decodes the body of a Vote.
func ParseStore(b []byte) (r StoreRequest, err error) {
	r, rest, err := NextStore(b)
	if err == nil && len(rest) > 0 {
		err = ErrMalformed
	}
	return r, err
}

// NextStore decodes the first record of the body of Stores, and returns the rest of the body. It
// refuses a record without a counter or an incarnation: every stored record has a tag that some
// write minted.
func NextStore(b []byte) (r StoreRequest, rest []byte, err error) {
	d := decoder{b: b}
	r.Relied = d.uvarint()
	r.Key = d.key()
	r.Record = d.record()
	if r.Record.Tag.Counter == 0 || r.Record.Tag.Incarnation == 0 {
		d.bad = true
	}
	return r, d.b, d.err()
}

// MaxStores is how many records Stores may have.
const MaxStores = 1024

// Acknowledgement is the body of the answer OK to Stores, and of OK and Nack to a Vote.
type Acknowledgement struct {
	Names []lease.Name // the replica's sessions, looked up after the last record was stored
	// Doubted has a bit for each record of Stores, in the order of the records and from the lowest
	// bit of the first byte on. It is set where the replica does not vouch: it cannot tell that
	// nothing that was complete lies above the record's tag (L14). No bytes: it vouches for all.
	Doubted []byte
}

// Vouches reports whether the replica vouches for a record, by its place in the request.
func (a *Acknowledgement) Vouches(i int) bool {
	return len(a.Doubted) == 0 || a.Doubted[i/8]>>(i%8)&1 == 0
}

// AppendAcknowledgement appends the body of an answer to Stores or a Vote.
func AppendAcknowledgement(dst []byte, a *Acknowledgement) []byte {
	return append(appendNames(appendBool(dst, len(a.Doubted) > 0), a.Names), a.Doubted...)
}

// ParseAcknowledgement decodes the body of an answer to a request with n records. It appends the
// names to a slice.
func ParseAcknowledgement(names []lease.Name, b []byte, n int) (a Acknowledgement, err error) {
	d := decoder{b: b}
	doubts := d.bool()
	a.Names = d.names(names)
	if !doubts {
		return a, d.end()
	}
	a.Doubted = d.b
	if last := len(d.b) - 1; len(d.b) != (n+7)/8 || d.b[last]>>(1+(n-1)%8) != 0 || !slices.ContainsFunc(d.b, func(b byte) bool { return b != 0 }) {
		d.bad = true
	}
	return a, d.err()
}

// MemberReport is the body of a Heartbeat, and of its reply.
type MemberReport struct {
	MemoryReport
	Figures kv.Figures // of the member's process; without a time
	// Departed has the watermarks of the incarnations that are no members any more, as far as the
	// member knows them (L8).
	Departed []watermark.Mark
	Sealed   version.Epoch // the newest epoch that the member knows to be sealed (L10)
}

// MemoryReport is how a member's memory stands.
type MemoryReport struct {
	Full  bool   // the member refuses new values
	Bytes uint64 // held by the member
	Limit uint64 // at which new values are refused; zero: no limit
}

// AppendHeartbeat appends the body of a Heartbeat.
func AppendHeartbeat(dst []byte, r *MemberReport) []byte {
	dst = appendBool(dst, r.Full)
	dst = binary.AppendUvarint(dst, r.Bytes)
	dst = binary.AppendUvarint(dst, r.Limit)
	dst = appendMarks(appendFigures(dst, &r.Figures), r.Departed)
	return binary.AppendUvarint(dst, uint64(r.Sealed))
}

// ParseHeartbeat decodes the body of a Heartbeat.
func ParseHeartbeat(b []byte) (r MemberReport, err error) {
	d := decoder{b: b}
	r.Full = d.bool()
	r.Bytes, r.Limit = d.uvarint(), d.uvarint()
	r.Figures = d.figures()
	r.Departed = d.marks()
	r.Sealed = version.Epoch(d.uvarint())
	return r, d.end()
}

// appendFigures appends figures. They take a byte where there are none, and less than 200 bytes
// while no count reaches 2^49.
func appendFigures(dst []byte, f *kv.Figures) []byte {
	dst = appendBool(dst, f.Process != 0)
	if f.Process == 0 {
		return dst
	}
	dst = binary.LittleEndian.AppendUint64(dst, f.Process)
	for _, n := range [...]uint64{f.ReadsAnswered, f.ReadsRefused, f.WritesAnswered, f.WritesRefused} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, n := range f.Took {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func (d *decoder) figures() (f kv.Figures) {
	if !d.bool() {
		return f
	}
	if f.Process = d.uint64(); f.Process == 0 {
		d.bad = true
	}
	for _, n := range [...]*uint64{&f.ReadsAnswered, &f.ReadsRefused, &f.WritesAnswered, &f.WritesRefused} {
		*n = d.uvarint()
	}
	for i := range f.Took {
		f.Took[i] = d.uvarint()
	}
	return f
}

func appendMarks(dst []byte, marks []watermark.Mark) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(marks)))
	for _, m := range marks {
		dst = binary.AppendUvarint(dst, uint64(m.Incarnation))
		dst = binary.AppendUvarint(dst, m.Below)
	}
	return dst
}

func (d *decoder) marks() []watermark.Mark {
	n := d.count(watermark.MaxMarks, 2)
	if n == 0 {
		return nil
	}
	marks := make([]watermark.Mark, n)
	for i := range marks {
		marks[i] = watermark.Mark{Incarnation: version.Incarnation(d.uvarint()), Below: d.uvarint()}
	}
	return marks
}

// RemoveRequest is the body of a Remove.
type RemoveRequest struct {
	Key  []byte
	R, W kv.Quorum
	Left time.Duration // how long the sender will wait; sent in milliseconds

	// Sequence names the request among those of the stamp's From. A remove must not be carried out
	// twice (N6).
	Sequence uint64

	// Trace is that of the client's request, so that the owner's log has it, too. Zero: none.
	Trace kv.Trace
}

// maxLeft bounds RemoveRequest.Left: how long a sender may say that it will wait.
const maxLeft = 10 * time.Minute

// AppendRemove appends the body of a Remove.
func AppendRemove(dst []byte, r *RemoveRequest) []byte {
	dst = appendBytes(dst, r.Key)
	dst = binary.AppendVarint(dst, int64(r.R))
	dst = binary.AppendVarint(dst, int64(r.W))
	dst = binary.AppendUvarint(dst, uint64(min(max(r.Left, 0), maxLeft)/time.Millisecond))
	dst = binary.AppendUvarint(dst, r.Sequence)
	return appendTrace(dst, r.Trace)
}

// ParseRemove decodes the body of a Remove.
func ParseRemove(b []byte) (r RemoveRequest, err error) {
	d := decoder{b: b}
	r.Key = d.key()
	r.R, r.W = d.quorum(), d.quorum()
	left := d.uvarint()
	if left > uint64(maxLeft/time.Millisecond) {
		d.bad = true
	} else {
		r.Left = time.Duration(left) * time.Millisecond
	}
	r.Sequence = d.uvarint()
	r.Trace = d.trace()
	return r, d.end()
}

// traceSize is the size of a trace on the wire: its ID, its parent and its flags.
const traceSize = 16 + 8 + 1

// appendTrace appends a trace as a byte string. The string is empty for a zero trace.
func appendTrace(dst []byte, t kv.Trace) []byte {
	if t.IsZero() {
		return append(dst, 0)
	}
	dst = append(dst, traceSize)
	dst = append(dst, t.ID[:]...)
	dst = append(dst, t.Parent[:]...)
	return append(dst, t.Flags)
}

func (d *decoder) trace() (t kv.Trace) {
	b := d.bytes(traceSize)
	if len(b) == 0 {
		return t
	}
	if len(b) != traceSize {
		d.bad = true
		return t
	}
	copy(t.ID[:], b)
	copy(t.Parent[:], b[16:])
	t.Flags = b[24]
	if t.ID == [16]byte{} || t.Parent == [8]byte{} {
		d.bad = true
	}
	return t
}

func (d *decoder) quorum() kv.Quorum {
	u := d.uvarint()
	x := int64(u>>1) ^ -int64(u&1) // zigzag, as AppendVarint writes it
	if x < int64(kv.QuorumAll) || x > 1<<10 {
		d.bad = true
		return 0
	}
	return kv.Quorum(x)
}
