package api

import (
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// coding is a content coding.
type coding uint8

const (
	identity coding = iota
	zstdCoding
	gzipCoding
	codings
)

// String returns the coding's name in Content-Encoding.
func (c coding) String() string {
	switch c {
	case zstdCoding:
		return "zstd"
	case gzipCoding:
		return "gzip"
	case identity, codings:
	}
	return "identity"
}

// chooseCoding returns the coding that an Accept-Encoding header rates highest. On a tie it is
// zstd, which takes the same time as gzip and yields two thirds of the bytes. Nothing is compressed
// unless the client asks for it.
func chooseCoding(header []byte) coding {
	best, bestQuality := identity, 0.0
	for _, c := range []coding{zstdCoding, gzipCoding} {
		if q := quality(header, c.String(), "*"); q > bestQuality {
			best, bestQuality = c, q
		}
	}
	return best
}

// encoder compresses a stream.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

// encoders keeps encoders for reuse: each has buffers of some 100 KiB.
var encoders [codings]sync.Pool

// acquireEncoder returns an encoder that writes to w. Both kinds work in the caller's goroutine and
// start no other.
func acquireEncoder(c coding, w io.Writer) (encoder, error) {
	if e, ok := encoders[c].Get().(encoder); ok {
		e.Reset(w)
		return e, nil
	}
	if c == gzipCoding {
		e, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return nil, fmt.Errorf("api: gzip: %w", err)
		}
		return e, nil
	}
	e, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("api: zstd: %w", err)
	}
	return e, nil
}

// releaseEncoder keeps an encoder for the next stream. The encoder retains nothing of this stream.
func releaseEncoder(c coding, e encoder) {
	e.Reset(nil)
	encoders[c].Put(e)
}
