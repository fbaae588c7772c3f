package wire

import (
	"encoding/binary"
	"time"

	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

func appendNames(dst []byte, names []lease.Name) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, n := range names {
		dst = appendName(dst, n)
	}
	return dst
}

func appendName(dst []byte, n lease.Name) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(n.Holder)), n.Session)
}

func (d *decoder) names(dst []lease.Name) []lease.Name {
	for range d.count(lease.MaxNames, 2) {
		dst = append(dst, d.name())
	}
	return dst
}

func (d *decoder) name() lease.Name {
	n := lease.Name{Holder: version.Incarnation(d.uvarint()), Session: d.uvarint()}
	if n.Holder == 0 || n.Session == 0 {
		d.bad = true
	}
	return n
}

// LeaseRequest is the body of a Lease. Sessions are those that the receiver has given to the
// sender.
type LeaseRequest struct {
	Wanted   bool   // a lease is asked for
	Counts   uint64 // the session that counts at the sender; zero: none
	Returned uint64 // no session up to this one counts any more
}

// AppendLease appends the body of a Lease.
func AppendLease(dst []byte, r *LeaseRequest) []byte {
	dst = binary.AppendUvarint(appendBool(dst, r.Wanted), r.Counts)
	return binary.AppendUvarint(dst, r.Returned)
}

// ParseLease decodes the body of a Lease.
func ParseLease(b []byte) (r LeaseRequest, err error) {
	d := decoder{b: b}
	r.Wanted, r.Counts, r.Returned = d.bool(), d.uvarint(), d.uvarint()
	return r, d.end()
}

// LeaseReply is the body of the reply to a Lease.
type LeaseReply struct {
	Session uint64 // zero: none
	// Digest is that of all that the replica held at some moment after the session began. It is
	// there if the session does not count at the other end yet (L2).
	Digest *replica.Digest
}

// AppendLeaseReply appends the body of the reply to a Lease.
func AppendLeaseReply(dst []byte, r *LeaseReply) []byte {
	dst = appendBool(binary.AppendUvarint(dst, r.Session), r.Digest != nil)
	if r.Digest != nil {
		dst = r.Digest.Append(dst)
	}
	return dst
}

// ParseLeaseReply decodes the body of the reply to a Lease.
func ParseLeaseReply(b []byte) (r LeaseReply, err error) {
	d := decoder{b: b}
	r.Session = d.uvarint()
	if d.bool() {
		digest := d.digest()
		r.Digest = &digest
	}
	return r, d.end()
}

// AppendClose appends the body of a Close.
func AppendClose(dst []byte, n lease.Name) []byte { return appendName(dst, n) }

// ParseClose decodes the body of a Close.
func ParseClose(b []byte) (n lease.Name, err error) {
	d := decoder{b: b}
	n = d.name()
	return n, d.end()
}

// AppendClosed appends the body of the reply to a Close: how long it is until the session is over,
// in microseconds. Zero: it is over.
func AppendClosed(dst []byte, left time.Duration) []byte {
	return binary.AppendUvarint(dst, uint64((left+time.Microsecond-1)/time.Microsecond))
}

// ParseClosed decodes the body of the reply to a Close.
func ParseClosed(b []byte) (left time.Duration, err error) {
	d := decoder{b: b}
	us := d.uvarint()
	if us > uint64(maxTerm/time.Microsecond) {
		d.bad = true
	}
	return time.Duration(us) * time.Microsecond, d.end()
}

// maxTerm is longer than any lease.
const maxTerm = time.Minute
