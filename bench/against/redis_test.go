package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// serveRESP starts a server that answers the four commands from a map, and WAIT with that number of
// replicas.
func serveRESP(t *testing.T, replicas int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var mu sync.Mutex
	values := map[string]string{}
	answer := func(words []string) string {
		mu.Lock()
		defer mu.Unlock()
		value, found := values[words[1]]
		count := map[bool]string{true: ":1\r\n", false: ":0\r\n"}[found]
		switch words[0] {
		case "SET":
			if words[1] == "forbidden" {
				return "-ERR no\r\n"
			}
			values[words[1]] = words[2]
			return "+OK\r\n"
		case "DEL":
			delete(values, words[1])
			return count
		case "EXISTS":
			return count
		case "WAIT":
			return ":" + strconv.Itoa(replicas) + "\r\n"
		}
		if !found {
			return "$-1\r\n"
		}
		return "$" + strconv.Itoa(len(value)) + "\r\n" + value + "\r\n"
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for r := bufio.NewReader(c); ; {
					words, err := readCommand(r)
					if err != nil {
						return
					}
					if _, err := io.WriteString(c, answer(words)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func readCommand(r *bufio.Reader) (words []string, err error) {
	number := func(mark string) (int, error) {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, mark)))
	}
	n, err := number("*")
	for ; err == nil && n > 0; n-- {
		var size int
		if size, err = number("$"); err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		_, err = io.ReadFull(r, b)
		words = append(words, string(b[:size]))
	}
	return words, err
}

func TestPipelinedRESP(t *testing.T) {
	c, err := redis{name: "redis://x", address: serveRESP(t, 0)}.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, step := range []struct {
		kind       workload.Kind
		key, value string
	}{{workload.Get, "k", ""}, {workload.Set, "k", "a\r\nb"}, {workload.Get, "k", ""}, {workload.Has, "k", ""}, {workload.Remove, "k", ""}, {workload.Remove, "k", ""}, {workload.Has, "k", ""}, {workload.Set, "forbidden", "x"}} {
		c.Append(step.kind, []byte(step.key), []byte(step.value))
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []runner.Answer{{Outcome: runner.Missing}, {Outcome: runner.OK}, {Outcome: runner.OK, Value: []byte("a\r\nb")}, {Outcome: runner.OK}, {Outcome: runner.OK}, {Outcome: runner.Missing}, {Outcome: runner.Missing}, {Outcome: runner.Failed}} {
		got, err := c.Receive()
		if err != nil || got.Outcome != want.Outcome || string(got.Value) != string(want.Value) {
			t.Errorf("answer %d: %+v, %v, want %+v", i, got, err, want)
		}
	}
}

// A write counts when WAIT has returned as many replicas as were asked for. Reads are not followed
// by WAIT.
func TestWritesThatWait(t *testing.T) {
	for wait, want := range map[int]runner.Outcome{1: runner.OK, 2: runner.OK, 3: runner.Failed} {
		c, err := redis{address: serveRESP(t, 2), wait: wait, timeout: time.Second}.Connect(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []workload.Kind{workload.Get, workload.Set, workload.Get, workload.Has, workload.Remove, workload.Remove} {
			c.Append(kind, []byte("k"), []byte("v"))
		}
		c.Append(workload.Set, []byte("forbidden"), []byte("v"))
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		again := runner.Missing // the answer to a second remove
		if want == runner.Failed {
			again = runner.Failed
		}
		for i, want := range []runner.Outcome{runner.Missing, want, runner.OK, runner.OK, want, again, runner.Failed} {
			if got, err := c.Receive(); err != nil || got.Outcome != want {
				t.Errorf("wait for %d, answer %d: %+v, %v, want %v", wait, i, got, err, want)
			}
		}
		if c.Buffered() {
			t.Error("there are more answers than requests")
		}
		_ = c.Close()
	}
}

func TestARunAgainstIt(t *testing.T) {
	address := serveRESP(t, 1)
	if err := run(context.Background(), []string{"-target", "redis://" + address + "?wait=1", "-keys", "200", "-duration", "300ms", "-connections", "2", "-out", t.TempDir()}); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"-target", "mysql://127.0.0.1:1"}, {"-target", "redis://192.0.2.1:1"}, {"-target", "redis://127.0.0.1:1"}, {"-target", "redis://" + address, "-mix", "zz"},
		{"-target", "redis://" + address + "?wait=many"}, {"-target", "redis://" + address + "?timeout=soon"}, {"-target", "redis://" + address + "?wait=1&timeout=1us"}, {"-target", "redis://" + address + "?wait=2", "-keys", "10"}} {
		if err := run(context.Background(), args); err == nil {
			t.Errorf("%v was run", args)
		}
	}
}
