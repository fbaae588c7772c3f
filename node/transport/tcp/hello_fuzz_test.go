package tcp

import (
	"bytes"
	"net"
	"testing"

	"viakv/node/transport"
)

// readerConn is a connection that reads from bytes. Nothing else of a connection is used.
type readerConn struct {
	net.Conn
	*bytes.Reader
}

func (c readerConn) Read(b []byte) (int, error) { return c.Reader.Read(b) }

// FuzzHello checks that an accepted hello is of this version, of a class that exists, and whole.
func FuzzHello(f *testing.F) {
	f.Add([]byte("viakv\n\x06\x00\x01a\x03b:1"))
	f.Add([]byte("viakv\n\x02\x00\x01a"))
	f.Add([]byte("viakv\n\x01\x00\xff"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHello(readerConn{Reader: bytes.NewReader(b)})
		if err != nil {
			return
		}
		name := int(b[len(magic)+2])
		address := int(b[len(magic)+3+name])
		if b[len(magic)] != version || int(h.class) >= transport.Classes || len(h.name) != name || len(h.address) != address {
			t.Errorf("%q is %+v", b, h)
		}
	})
}
