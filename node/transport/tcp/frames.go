package tcp

import (
	"encoding/binary"
	"errors"
	"io"
	"net"

	"viakv/node/transport"
)

// frames reads from a connection and hands out all whole frames of each read.
type frames struct {
	conn net.Conn
	buf  []byte
	n    int // bytes in buf
}

// readBuffer is how much is read at once: at full load some hundred small frames.
const readBuffer = 64 << 10

var errTooLong = errors.New("tcp: frame longer than the limit")

func newFrames(conn net.Conn) *frames { return &frames{conn: conn, buf: make([]byte, readBuffer)} }

// next blocks for one read and visits the frames that it has completed. Payloads are borrowed for the visit.
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
		size := int(binary.LittleEndian.Uint32(f.buf[at:]))
		if size > transport.MaxFrame {
			return errTooLong
		}
		end := at + headerSize + size
		if end > f.n {
			break
		}
		visit(binary.LittleEndian.Uint32(f.buf[at+4:]), f.buf[at+headerSize:end])
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
