package dbtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/database/stateless"
)

// Store is a store on a database.
type Store interface {
	kv.Store
	kv.Cluster
}

var background = context.Background()

// FreePort returns a TCP port on loopback at which nothing listens now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Eventually polls until a condition holds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(until) {
			t.Fatalf("%s: not within 30 s", what)
		}
		time.Sleep(5 * time.Millisecond) // between polls
	}
}

// Ready waits until the store is ready.
func Ready(t testing.TB, s Store) {
	t.Helper()
	Eventually(t, "ready", func() bool { return s.Ready(background) == nil })
}

// Unready waits until the store is not ready for the given reason.
func Unready(t testing.TB, s Store, reason string) {
	t.Helper()
	Eventually(t, "not ready: "+reason, func() bool {
		err := s.Ready(background)
		return errors.Is(err, kv.ErrUnavailable) && strings.Contains(err.Error(), reason)
	})
}

// OutcomeOf returns the outcome in an error. It fails unless the error is kv.Unavailable.
func OutcomeOf(t testing.TB, err error) kv.Outcome {
	t.Helper()
	var u *kv.Unavailable
	if !errors.As(err, &u) {
		t.Fatalf("got %v, want Unavailable", err)
	}
	return u.Outcome
}

// OutlivesServer kills the server of a store under load, after this many writes, and starts it
// again. Nothing acknowledged may be lost, and no write that was reported as "none" may have
// happened. The store must say that it is not ready and why, and become ready again by itself.
// OutlivesServer returns what a request without a server got.
func OutlivesServer(t testing.TB, s Store, writes int, kill func(), restart func() error) error {
	t.Helper()
	const writers = 8
	var mu sync.Mutex
	acknowledged, refused, unknown := map[string]bool{}, []string{}, 0
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				k := fmt.Sprintf("%d/%d", w, i)
				_, err := s.Set(background, []byte(k), []byte(k), kv.Options{})
				var u *kv.Unavailable
				mu.Lock()
				switch {
				case err == nil:
					acknowledged[k] = true
				case !errors.As(err, &u):
					t.Errorf("set: %v", err)
				case u.Outcome == kv.None:
					refused = append(refused, k)
				default:
					unknown++
				}
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	// Kill the server, look at the store without it, and start it again.
	Eventually(t, "writes", func() bool { return count() > writes })
	kill()
	Eventually(t, "not ready", func() bool {
		err := s.Ready(background)
		return errors.Is(err, kv.ErrUnavailable) && s.Status().State == "unavailable" && s.Status().Reason != nil
	})
	began := time.Now()
	_, _, without := s.Get(background, nil, []byte("k"), kv.Options{})
	if !errors.Is(without, kv.ErrUnavailable) {
		t.Fatalf("get without a server: %v", without)
	}
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("get without a server took %v", d)
	}
	if err := restart(); err != nil {
		t.Fatal(err)
	}
	Ready(t, s)
	before := count()
	Eventually(t, "writes again", func() bool { return count() > before+writes })
	close(stop)
	wg.Wait()

	// Compare what is stored with what was reported.
	for k := range acknowledged {
		if v, _, err := s.Get(background, nil, []byte(k), kv.Options{}); err != nil || string(v) != k {
			t.Fatalf("acknowledged %s: got %q, %v", k, v, err)
		}
	}
	for _, k := range refused[:min(len(refused), 2000)] {
		if _, err := s.Has(background, []byte(k), kv.Options{}); !errors.Is(err, kv.ErrMissing) {
			t.Fatalf("%s was reported as outcome none: %v", k, err)
		}
	}
	t.Logf("%d acknowledged, %d none, %d unknown", len(acknowledged), len(refused), unknown)
	return without
}

// BlackHole lets no answer come back any more to a store with few connections behind the proxy. At
// their deadline reads must end with outcome none, writes that were sent with outcome unknown, and
// writes that were not with outcome none. Later the store must recover by itself.
func BlackHole(t testing.TB, s Store, proxy *Proxy) {
	t.Helper()
	if _, err := s.Set(background, []byte("k"), []byte("old"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	// Two connections are in the pool. Both were used within the last second, so that the pool does
	// not ping them first.
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _, _ = s.Has(background, []byte("k"), kv.Options{}) })
	}
	wg.Wait()
	proxy.stall()
	deadline := func() kv.Options { return kv.Options{Deadline: time.Now().Add(600 * time.Millisecond)} }
	began := time.Now()
	_, err := s.Set(background, []byte("k"), []byte("new"), deadline())
	if o := OutcomeOf(t, err); o != kv.Unknown {
		t.Errorf("set: outcome %v (%v): it was sent and not answered", o, err)
	}
	if _, _, err = s.Get(background, nil, []byte("k"), deadline()); OutcomeOf(t, err) != kv.None {
		t.Errorf("get: %v", err)
	}
	if _, err = s.Scan(background, kv.ScanOptions{Options: deadline()}); OutcomeOf(t, err) != kv.None {
		t.Errorf("scan: %v", err)
	}
	// No connection can be made now: nothing is sent.
	for range 4 {
		_, err = s.Set(background, []byte("other"), []byte("new"), deadline())
		OutcomeOf(t, err)
	}
	if o := OutcomeOf(t, err); o != kv.None {
		t.Errorf("set without a connection: outcome %v (%v)", o, err)
	}
	if d := time.Since(began); d > 40*time.Second {
		t.Errorf("seven requests of 600 ms took %v", d)
	}
	Unready(t, s, "")
	proxy.flow()
	Ready(t, s)
	Eventually(t, "writes", func() bool {
		_, err := s.Set(background, []byte("k"), []byte("newest"), kv.Options{})
		return err == nil
	})
}

// SlowDatabase puts 30 ms on the wire of a store with so many connections behind the proxy.
// Requests beyond the capacity must be refused as an overload, with a time to come back.
func SlowDatabase(t testing.TB, s Store, proxy *Proxy, connections int64, stats func() stateless.Pool) {
	t.Helper()
	proxy.delay(30 * time.Millisecond)
	var succeeded, overloaded atomic.Int64
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			_, err := s.Set(background, []byte(fmt.Sprint(i)), []byte("v"), kv.Options{Deadline: time.Now().Add(600 * time.Millisecond)})
			var u *kv.Unavailable
			switch {
			case err == nil:
				succeeded.Add(1)
			case !errors.As(err, &u):
				t.Error(err)
			case u.Outcome == kv.None && u.RetryAfter > 0:
				overloaded.Add(1)
			}
		})
	}
	wg.Wait()
	if succeeded.Load() == 0 || overloaded.Load() == 0 {
		t.Fatalf("%d succeeded, %d were refused as overload", succeeded.Load(), overloaded.Load())
	}
	p := stats()
	if p.Limit != connections || p.InUse+p.Idle > connections || p.Opened == 0 || p.Failed == 0 || p.Waited <= 0 || p.Waiting != 0 {
		t.Fatalf("%+v", p)
	}
}
