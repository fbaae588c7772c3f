package tcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"viakv/node/transport"
)

// Each side of a new connection says who it is before anything else. The dialler begins:
//
//	magic "viakv\n" (6) | protocol version (1) | class (1) | length of name (1) | name
//	| length of address (1) | address
//
// The address is where the side is called. Up to the name, hellos of all versions are alike.
//
// A listener that cannot serve the dialler's version or class answers with its own hello before it
// hangs up, so that both can say why. It answers another protocol with nothing.
const (
	magic   = "viakv\n"
	version = 7
)

// errNotViakv reports that the other end of the connection speaks another protocol.
var errNotViakv = errors.New("tcp: the other end does not speak the viakv peer protocol; is this a peer address?")

type hello struct {
	class   transport.Class
	name    string
	address transport.Address // where calls reach the sender; empty: not told
}

func writeHello(conn net.Conn, h hello) error {
	name := h.name[:min(len(h.name), 255)]
	b := append([]byte(magic), version, byte(h.class), byte(len(name)))
	b = append(b, name...)
	if len(h.address) > 255 { // no host has so long a name
		h.address = ""
	}
	b = append(b, byte(len(h.address)))
	_, err := conn.Write(append(b, h.address...))
	return err
}

func readHello(conn net.Conn) (h hello, err error) {
	var b [len(magic) + 3]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return h, err
	}
	if string(b[:len(magic)]) != magic {
		return h, errNotViakv
	}
	theirs := b[len(magic)]
	h.class = transport.Class(b[len(magic)+1])
	name := make([]byte, b[len(magic)+2])
	if _, err := io.ReadFull(conn, name); err != nil {
		return h, err
	}
	h.name = string(name)
	if theirs != version {
		return h, fmt.Errorf("tcp: %s speaks version %d of the peer protocol, this node %d: upgrade one of them", h.name, theirs, version)
	}
	if int(h.class) >= transport.Classes {
		return h, fmt.Errorf("tcp: %s asks for connection class %d, which does not exist", h.name, h.class)
	}
	var length [1]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return h, err
	}
	address := make([]byte, length[0])
	if _, err := io.ReadFull(conn, address); err != nil {
		return h, err
	}
	h.address = transport.Address(address)
	return h, nil
}

// greet exchanges hellos as the dialler.
func greet(conn net.Conn, me hello, within time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if err := writeHello(conn, me); err != nil {
		return err
	}
	if _, err := readHello(conn); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// welcome exchanges hellos as the listener. It returns the dialler's.
func welcome(conn net.Conn, me hello, within time.Duration) (hello, error) {
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return hello{}, err
	}
	h, err := readHello(conn)
	if errors.Is(err, errNotViakv) {
		return h, err
	}
	me.class = h.class
	if e := writeHello(conn, me); e != nil || err != nil {
		return h, errors.Join(err, e)
	}
	return h, conn.SetDeadline(time.Time{})
}
