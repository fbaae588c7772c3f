package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"viakv/cmd/viakv/viakvtest"
)

// kept is a connection that is used for one request after another, as a load balancer does.
type kept struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func keep(t *testing.T, address string) *kept {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &kept{t, c, bufio.NewReader(c)}
}

// try asks for a path and returns the answer with its whole body.
func (k *kept) try(path string) (response *http.Response, body string, err error) {
	if err := k.c.SetDeadline(time.Now().Add(viakvtest.AnswerTime)); err != nil {
		return nil, "", err
	}
	if _, err := fmt.Fprintf(k.c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
		return nil, "", err
	}
	if response, err = http.ReadResponse(k.r, nil); err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(response.Body)
	return response, string(b), err
}

// ask is like try, but fails the test when there is no answer.
func (k *kept) ask(path string) (status int, body string) {
	k.t.Helper()
	response, body, err := k.try(path)
	if err != nil {
		k.t.Fatalf("%s: %v", path, err)
	}
	return response.StatusCode, body
}

// expect is like ask, but fails the test when the status is another one.
func (k *kept) expect(want int, path string) string {
	k.t.Helper()
	status, body := k.ask(path)
	if status != want {
		k.t.Fatalf("%s: %d %s, want %d", path, status, body, want)
	}
	return body
}

// await is like expect, but asks until the status is the wanted one.
func (k *kept) await(want int, path string) {
	k.t.Helper()
	viakvtest.Await(k.t, fmt.Sprintf("%s to answer %d", path, want), func() bool { status, _ := k.ask(path); return status == want })
}

// flood keeps so many connections to an address open, and sends nothing on them, until it is
// stopped. It makes closed connections again.
func flood(t *testing.T, address string, connections int) (stop func()) {
	t.Helper()
	stopped := make(chan struct{})
	ended := make(chan struct{}, connections)
	for range connections {
		go func() {
			defer func() { ended <- struct{}{} }()
			for {
				c, err := net.DialTimeout("tcp", address, time.Second)
				if err == nil {
					go func() {
						<-stopped
						_ = c.Close()
					}()
					_, _ = io.Copy(io.Discard, c)
					_ = c.Close()
				}
				select {
				case <-stopped:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		}()
	}
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		close(stopped)
		for range connections {
			<-ended
		}
	}
	t.Cleanup(stop)
	return stop
}
