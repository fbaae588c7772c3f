package tcp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"viakv/node/transport"
)

// A connection that does not begin as a peer's is closed, and the log says why. A connection that
// ends in the middle of a frame is not worth a line.
func TestStrangersAreRefused(t *testing.T) {
	hello := func(version, class byte) string { return magic + string([]byte{version, class, 1, 'x', 0}) }
	for _, test := range []struct{ name, sent, logged string }{
		{"a browser", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "does not speak the viakv peer protocol"},
		{"another version", hello(version+1, 0), "speaks version"},
		{"an unknown class", hello(version, 7), "asks for connection class 7"},
		{"too long a frame", hello(version, 0) + "\xff\xff\xff\x7f\x01\x00\x00\x00", "frame longer than the limit"},
		{"half a hello", magic[:3], "unexpected EOF"},
		{"a frame's beginning", hello(version, 0) + "\x09\x00", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			core, logs := observer.New(zapcore.WarnLevel)
			p := newPair(t, func(_, b *Config) { b.Logger = zap.New(core) })
			conn := p.connect(t)
			if _, err := io.WriteString(conn, test.sent); err != nil {
				t.Fatal(err)
			}
			_ = conn.CloseWrite()
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
			if _, err := ask(t, p.a, p.addressB, transport.Data, []byte{9}); err != nil {
				t.Errorf("a peer beside it: %v", err)
			}
			p.stopB()
			var said string
			for _, line := range logs.All() {
				said += fmt.Sprint(line.Message, line.ContextMap())
			}
			if test.logged == "" && said != "" || !strings.Contains(said, test.logged) {
				t.Errorf("the log says %q, want %q", said, test.logged)
			}
		})
	}
}

// A port scanner must not fill the log.
func TestFewRefusalsAreLogged(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	p := newPair(t, func(_, b *Config) { b.Logger = zap.New(core) })
	began := time.Now()
	for range 20 {
		conn := p.connect(t)
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
	p.stopB()
	if n, seconds := logs.Len(), int(time.Since(began)/time.Second); n == 0 || n > 1+seconds {
		t.Errorf("%d lines in the log within %d s: want one a second", n, seconds+1)
	}
}
