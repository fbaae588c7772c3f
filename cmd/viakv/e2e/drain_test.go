package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"viakv/cmd/viakv/viakvtest"
)

// setter sets its own keys one after another on one connection, some at a time, until the
// connection ends.
type setter struct {
	name        string
	sent, acked int
	// Counts answers after the node was told to stop that did not end their connection.
	draining int
	faults   []string
}

func (s *setter) key(i int) string { return fmt.Sprintf("%s-%d", s.name, i) }

func (s *setter) run(k *kept, depth int, stopped <-chan struct{}) {
	defer func() { _ = k.c.Close() }()
	_ = k.c.SetDeadline(time.Now().Add(viakvtest.AnswerTime))
	for {
		told := false
		select {
		case <-stopped:
			told = true
		default:
		}
		var batch strings.Builder
		for range depth {
			fmt.Fprintf(&batch, "GET /set?k=%s&v=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", s.key(s.sent))
			s.sent++
		}
		// Keys that could not be sent are looked up as well.
		_, _ = io.WriteString(k.c, batch.String())
		for range depth {
			response, err := http.ReadResponse(k.r, nil)
			if err != nil {
				return
			}
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != 200 {
				s.faults = append(s.faults, fmt.Sprintf("%s: %d %s %v", s.key(s.acked), response.StatusCode, body, err))
			}
			s.acked++
			if response.Close {
				return
			}
			if told {
				s.draining++
			}
		}
	}
}

// A member that is stopped under load answers what it has begun, and from the first moment on tells
// its clients to leave. It does nothing without an answer: the other members know exactly what the
// clients were told.
func TestAStoppedMemberDoesNothingWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for _, drain := range []string{"0s", "150ms"} {
		m := formed(&mesh{t: t, drain: drain}, "a", "b", "c")
		unanswered := 0
		for round := range 4 {
			depth := 1 + 15*(round%2)
			name := m.names[round%3]
			stopped := make(chan struct{})
			var clients []*setter
			var running sync.WaitGroup
			for i := range 8 {
				s := &setter{name: fmt.Sprintf("drain%s-round%d-client%d", drain, round, i)}
				clients = append(clients, s)
				on := keep(t, m.nodes[name].http)
				running.Go(func() { s.run(on, depth, stopped) })
			}
			time.Sleep(30 * time.Millisecond)
			m.nodes[name].Signal(syscall.SIGTERM)
			if drain != "0s" {
				m.nodes[name].Line("draining")
				close(stopped)
			}
			running.Wait()
			m.nodes[name].Exits(0)
			other := m.names[(round+1)%3]
			on := keep(t, m.nodes[other].http)
			for _, s := range clients {
				for i := range s.sent {
					status, _ := on.ask("/is?k=" + s.key(i))
					if answered := i < s.acked; (status == 200) != answered {
						t.Errorf("%s of %d: answered %v, and %s says %d", s.key(i), s.sent, answered, other, status)
					}
				}
				unanswered += s.sent - s.acked
				for _, f := range s.faults[:min(3, len(s.faults))] {
					t.Error(f)
				}
				if s.draining > 0 {
					t.Errorf("%s: %d answers of a node that drains kept their connection", s.name, s.draining)
				}
			}
			_ = on.c.Close()
			m.back(name)
		}
		t.Logf("drain %s: %d requests had no answer, and none of them was done", drain, unanswered)
	}
}

// A client that reads a stream slowly gets all of it while the node drains. After the drain it has
// as much time as requests in flight have.
func TestAStreamOutlivesTheDrain(t *testing.T) {
	t.Parallel()
	p, address := viakvtest.ServeOne(t, "--drain", "300ms")
	on := keep(t, address)
	const keys = 3_000
	value := strings.Repeat("v", 250)
	for i := range keys {
		on.expect(200, fmt.Sprintf("/set?k=key%04d&v=%s", i, value))
	}
	slow := keep(t, address)
	if err := slow.c.SetDeadline(time.Now().Add(viakvtest.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(slow.c, "GET /getAll?format=ndjson HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(slow.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !response.Close {
		t.Error("the stream does not say that its connection ends with it")
	}
	p.Signal(syscall.SIGTERM)
	p.Line("draining")
	time.Sleep(600 * time.Millisecond) // the drain is over
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("after %d bytes: %v", len(body), err)
	}
	if n := strings.Count(string(body), "\n"); n != keys+1 || !strings.Contains(string(body), `{"end":true`) {
		t.Errorf("%d lines of %d", n, keys+1)
	}
	_ = slow.c.Close()
	p.Exits(0)
}
