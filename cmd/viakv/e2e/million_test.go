package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/client"
	"viakv/cmd/viakv/viakvtest"
)

// manyKeys returns how many keys are loaded: VIAKV_TEST_KEYS, for example 1000000, or 20,000 for a
// quick test.
func manyKeys(t *testing.T) int {
	t.Helper()
	text := os.Getenv("VIAKV_TEST_KEYS")
	if text == "" {
		return 20_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("VIAKV_TEST_KEYS=%q: want how many keys", text)
	}
	return n
}

// pipelined sets keys 0 to n-1 over one connection, a hundred requests at a time. It fails the test
// unless each is acknowledged.
func pipelined(t *testing.T, address string, n int, value string) {
	t.Helper()
	c, err := client.New(client.Config{Endpoints: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := c.Connect(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for at := 0; at < n; at += 100 {
		to := min(n, at+100)
		for i := at; i < to; i++ {
			conn.AppendSet([]byte(keyNumber(i)), []byte(value))
		}
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		for range to - at {
			if a, err := conn.Receive(); err != nil || a.Status != http.StatusOK {
				t.Fatalf("a set was answered %d, %v", a.Status, err)
			}
		}
	}
}

// A getAll has every key that was acknowledged before it began, each once, while sets of old and
// new keys go on.
func TestGetAllIsWholeWhileSetsGoOn(t *testing.T) {
	t.Parallel()
	n := manyKeys(t)
	p, address := viakvtest.ServeOne(t)
	old, fresh := strings.Repeat("o", 100), strings.Repeat("f", 100)
	pipelined(t, address, n, old)

	var stop atomic.Bool
	var written atomic.Int64
	var writers sync.WaitGroup
	defer writers.Wait()
	defer stop.Store(true)
	for w := range 4 {
		writers.Go(func() {
			for i := w; !stop.Load(); i += 4 {
				k, v := keyNumber(i%n), fresh
				if i%2 == 1 {
					k = fmt.Sprintf("new-%09d", i)
				}
				if s, body := viakvtest.Fetch(t, address, "/set", "k", k, "v", v); s != http.StatusOK {
					t.Errorf("a set beside the scan: %d %s", s, body)
					return
				}
				written.Add(1)
			}
		})
	}
	viakvtest.Await(t, "the writers", func() bool { return written.Load() > 100 })

	began, before := time.Now(), written.Load()
	request, err := http.NewRequest(http.MethodGet, "http://"+address+"/getAll", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/x-ndjson")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	seen, ended := make([]bool, n), false
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		var row struct {
			Key, Value string
			End        bool
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if row.End {
			ended = true
			continue
		}
		text, of := strings.CutPrefix(row.Key, "key-")
		if !of {
			continue // written during the scan
		}
		i, err := strconv.Atoi(text)
		if err != nil || i >= n || seen[i] {
			t.Fatalf("a key that was never written, or a second time: %s", row.Key)
		}
		seen[i] = true
		if row.Value != old && row.Value != fresh {
			t.Fatalf("%s has a value that was never written: %q", row.Key, row.Value)
		}
	}
	if err := lines.Err(); err != nil || !ended {
		t.Fatalf("the stream was cut: %v", err)
	}
	t.Logf("%d keys in %v, %d sets meanwhile", n, time.Since(began), written.Load()-before)
	for i, ok := range seen {
		if !ok {
			t.Fatalf("%s is missing", keyNumber(i))
		}
	}
	stop.Store(true)
	writers.Wait()
	p.Signal(os.Interrupt)
	p.Exits(0)
}
