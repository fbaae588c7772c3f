package api

import (
	"errors"
	"net"
	"time"
)

const (
	// streamBuffer is the payload of a chunk. Each stream holds one buffer of this size; a larger
	// one hardly raises the throughput.
	streamBuffer = 128 << 10
	// chunkHead is the room before a chunk's payload. It holds the size, of up to eight hexadecimal
	// digits, and a line end.
	chunkHead = 10
	// chunkTail is the most that follows the last chunk's payload: its line end, and the chunk of
	// size zero.
	chunkTail = 2 + 5
)

// chunkWriter frames a body in chunks, with one write for each chunk: head, payload and tail lie in
// one buffer.
type chunkWriter struct {
	conn    net.Conn
	timeout time.Duration // for each write
	chunked bool          // false: the end of the connection is the end of the body
	sent    int64         // payload bytes sent so far
}

// send writes buffer as a chunk, and behind it the last chunk if last is set. The first chunkHead
// bytes of buffer are free; send overwrites them with the head, and appends the tail.
func (w *chunkWriter) send(buffer []byte, last bool) error {
	size := len(buffer) - chunkHead
	w.sent += int64(size)
	if !w.chunked {
		if size == 0 {
			return nil
		}
		return w.write(buffer[chunkHead:])
	}
	start := chunkHead
	if size > 0 {
		start -= 2
		buffer[start], buffer[start+1] = '\r', '\n'
		for n := size; n > 0; n >>= 4 {
			start--
			buffer[start] = hexDigits[n&15]
		}
		buffer = append(buffer, '\r', '\n')
	}
	if last {
		buffer = append(buffer, "0\r\n\r\n"...)
	}
	if start == len(buffer) {
		return nil
	}
	return w.write(buffer[start:])
}

func (w *chunkWriter) write(b []byte) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return errors.Join(errStreamWrite, err)
	}
	if _, err := w.conn.Write(b); err != nil {
		return errors.Join(errStreamWrite, err)
	}
	yieldProcessor()
	return nil
}

// errStreamWrite marks errors that the client caused: it went away, or took nothing for too long.
var errStreamWrite = errors.New("the client does not take the stream")

// chunkBuffer collects an encoder's output into chunks.
type chunkBuffer struct {
	writer *chunkWriter
	buffer []byte // chunkHead bytes, then payload
}

// Write implements io.Writer for an encoder.
func (b *chunkBuffer) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(len(p)-done, streamBuffer+chunkHead-len(b.buffer))
		b.buffer = append(b.buffer, p[done:done+n]...)
		done += n
		if len(b.buffer) == streamBuffer+chunkHead {
			if err := b.flush(false); err != nil {
				return done, err
			}
		}
	}
	return len(p), nil
}

func (b *chunkBuffer) flush(last bool) error {
	err := b.writer.send(b.buffer, last)
	b.buffer = b.buffer[:chunkHead]
	return err
}
