package tcp

import (
	"encoding/binary"
	"errors"
	"io"
	"net"

	"viakv/node/transport"
)

// frames reads from a connection and passes on all whole frames of each read.
type frames struct {
	conn net.Conn
	buf  []byte
	n    int // how many bytes of buf are filled

	// refused is called for each refusal. Nil: a refusal is no valid frame.
	refused func(id uint32, reason byte)
}

// A refusal is a reply that says why there is no other reply.
const (
	refusal          = 1 << 31 // added to the frame's length, which is 1
	refusedTooLong   = 1
	refusedQueueFull = 2
)

// refusalError returns the error of a call whose reply was refused.
func refusalError(reason byte) error {
	if reason == refusedTooLong {
		return transport.ErrReplyTooLarge
	}
	return transport.ErrPeerFull
}

// readBuffer is the size of the buffer for reads, in bytes: at full load it takes some hundred
// small frames.
const readBuffer = 64 << 10

var errTooLong = errors.New("tcp: frame longer than the limit")

func newFrames(conn net.Conn) *frames { return &frames{conn: conn, buf: make([]byte, readBuffer)} }

// next blocks for one read, and calls visit for the frames that the read has completed. visit
// borrows the payload.
func (f *frames) next(visit func(id uint32, payload []byte)) error {
	if f.n == len(f.buf) {
		grown := make([]byte, 2*len(f.buf)) // bounded: the frame's length was checked below
		copy(grown, f.buf)
		f.buf = grown
	}
	n, err := f.conn.Read(f.buf[f.n:])
	f.n += n
	at := 0
	for f.n-at >= headerSize {
		size := binary.LittleEndian.Uint32(f.buf[at:])
		refused := f.refused != nil && size == refusal|1
		if refused {
			size = 1
		}
		if size > transport.MaxFrame {
			return errTooLong
		}
		end := at + headerSize + int(size)
		if end > f.n {
			break
		}
		id, payload := binary.LittleEndian.Uint32(f.buf[at+4:]), f.buf[at+headerSize:end]
		if refused {
			f.refused(id, payload[0])
		} else {
			visit(id, payload)
		}
		at = end
	}
	copy(f.buf, f.buf[at:f.n])
	f.n -= at
	if f.n == 0 && len(f.buf) > 4*readBuffer {
		f.buf = make([]byte, readBuffer) // a large frame has passed
	}
	if err == io.EOF && f.n > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}
