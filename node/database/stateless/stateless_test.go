package stateless

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"viakv/api/kv"
	"viakv/quorum/version"
)

func TestCursorRoundTrip(t *testing.T) {
	seal := NewSeal(NewCursorKey())
	rapid.Check(t, func(t *rapid.T) {
		g := version.Generation(rapid.Uint64().Draw(t, "generation"))
		key := rapid.SliceOfN(rapid.Byte(), 0, kv.MaxKeyBytes).Draw(t, "key")
		text := seal.Cursor(g, key)
		gotG, gotKey, err := seal.open(text)
		if err != nil || gotG != g || string(gotKey) != string(key) {
			t.Fatalf("got %d %q %v", gotG, gotKey, err)
		}
		if _, _, err := NewSeal(NewCursorKey()).open(text); !errors.Is(err, kv.ErrBadCursor) {
			t.Fatalf("a foreign cursor: %v", err)
		}
	})
}

// TestCursorOfAnotherVersion: a cursor of a version that this node does not know is refused,
// although its seal is right.
func TestCursorOfAnotherVersion(t *testing.T) {
	seal := NewSeal(NewCursorKey())
	for _, body := range [][]byte{{2, 1, 'k'}, {cursorVersion, 0x80}} {
		text := kv.EncodeCursor(seal.appendMAC(append([]byte{}, body...), body))
		if _, _, err := seal.open(text); !errors.Is(err, kv.ErrBadCursor) {
			t.Errorf("%v: %v", body, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	seal := NewSeal(make([]byte, CursorKeyBytes))
	f.Add(seal.Cursor(3, []byte("key")))
	f.Add("AQ")
	f.Add("\r" + seal.Cursor(3, []byte("key")))
	f.Fuzz(func(t *testing.T, text string) {
		g, key, err := seal.open(text)
		if err != nil {
			if !errors.Is(err, kv.ErrBadCursor) {
				t.Fatal(err)
			}
			return
		}
		if seal.Cursor(g, key) != text {
			t.Fatalf("%q is a second spelling", text)
		}
	})
}

func TestSuccessor(t *testing.T) {
	for prefix, want := range map[string]string{
		"a": "b", "az": "a{", "a\U0010ffff": "b", "\x00": "\x01", "\x7f": "\u0080", "\ud7ff": "\ue000", "é\U0010ffff\U0010ffff": "ê",
	} {
		if got := Successor(prefix); got != want {
			t.Errorf("%q: %q, want %q", prefix, got, want)
		}
	}
	for _, prefix := range []string{"", "\U0010ffff", strings.Repeat("\U0010ffff", 3)} {
		if got := Successor(prefix); got != "" {
			t.Errorf("%q: %q", prefix, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		prefix, tail := rapid.String().Draw(t, "prefix"), rapid.String().Draw(t, "tail")
		other := rapid.String().Draw(t, "other")
		to := Successor(prefix)
		if to != "" && prefix+tail >= to {
			t.Fatalf("%q is not below %q", prefix+tail, to)
		}
		if inside := other >= prefix && (to == "" || other < to); inside != strings.HasPrefix(other, prefix) {
			t.Fatalf("%q in [%q, %q): %v", other, prefix, to, inside)
		}
	})
}

func TestScrubber(t *testing.T) {
	s := NewScrubber("p@ss/wörd %", "")
	for _, text := range []string{
		"failed: p@ss/wörd %", "parse postgres://u:p%40ss%2Fw%C3%B6rd%20%25@h", "p%40ss%2Fw%C3%B6rd+%25 again",
		"mongodb://someone:hunter2@host/db", "host=h password='p q' user=u", "x?password=hunter2&y=1", "sslpassword=hunter2",
	} {
		got := s.text(text)
		for _, leak := range []string{"p@ss", "rd%20", "rd+", "hunter2", "someone", "p q"} {
			if strings.Contains(got, leak) {
				t.Errorf("%q: %q", text, got)
			}
		}
	}
	cause := fmt.Errorf("dial with p@ss/wörd %%: %w", context.DeadlineExceeded)
	err := s.Error(cause)
	if strings.Contains(err.Error(), "p@ss") || !errors.Is(err, context.DeadlineExceeded) || errors.Unwrap(err) != nil {
		t.Errorf("%v", err)
	}
	var detail *kv.DetailError
	if !errors.As(s.Error(kv.Detail(kv.ErrMissing, "p@ss/wörd %%")), &detail) {
		t.Error("As does not reach the cause")
	}
	if plain := errors.New("plain"); s.Error(plain) != plain || s.Error(nil) != nil {
		t.Error("an error without a secret changed")
	}
}

// TestLastNotices: a status page that only ever looks at the last result notices the database's
// end, one look later.
func TestLastNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checks, down := 0, errors.New("down")
		p := NewProbe(func(context.Context) error {
			if checks++; checks == 1 {
				return nil
			}
			return down
		})
		for i, want := range []error{nil, nil, nil, down} {
			if err := p.latest(); err != want {
				t.Fatalf("look %d: %v, want %v", i, err, want)
			}
			synctest.Wait()
			if i != 0 { // the second look comes within the interval
				time.Sleep(2 * time.Second) // the bubble's clock
			}
		}
		if checks != 3 {
			t.Fatalf("%d checks", checks)
		}
	})
}

// TestProbeIsCached: many callers cost one check per interval (O2), and an impatient caller does
// not disturb the others.
func TestProbeIsCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checks atomic.Int64
		down := errors.New("down")
		var result atomic.Pointer[error]
		p := NewProbe(func(ctx context.Context) error {
			checks.Add(1)
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
			if e := result.Load(); e != nil {
				return *e
			}
			return nil
		})
		if err := p.latest(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := p.Ready(ctx); !errors.Is(err, kv.ErrUnavailable) {
			t.Fatalf("impatient: %v", err)
		}
		answers := make(chan error, 50)
		for range cap(answers) {
			go func() { answers <- p.Ready(t.Context()) }()
		}
		for range cap(answers) {
			if err := <-answers; err != nil {
				t.Fatal(err)
			}
		}
		if n := checks.Load(); n != 1 {
			t.Fatalf("%d checks", n)
		}
		result.Store(&down)
		if err := p.Ready(t.Context()); err != nil {
			t.Fatalf("within the interval: %v", err)
		}
		time.Sleep(2 * time.Second) // the bubble's clock
		if err := p.Ready(t.Context()); err != down || p.latest() != down {
			t.Fatalf("got %v", err)
		}
		if n := checks.Load(); n != 2 {
			t.Fatalf("%d checks", n)
		}
	})
}

// TestWait: waits grow up to the longest, and never outlast the context.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n, most := range map[int]time.Duration{1: 2 * time.Millisecond, 4: 16 * time.Millisecond, 8: longestWait, 1000: longestWait} {
			began := time.Now()
			if !Wait(t.Context(), n) {
				t.Fatal("Wait refused an attempt without a deadline")
			}
			if d := time.Since(began); d < most/2 || d > most {
				t.Errorf("attempt %d waits %v", n, d)
			}
		}
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		if Wait(short, 100) || time.Since(began) != 0 {
			t.Error("Wait waited although the context would end first")
		}
		ended, end := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, end)
		if Wait(ended, 100) {
			t.Error("Wait outlasted the context")
		}
		if d := Until(time.Time{}, time.Minute); time.Until(d) != time.Minute {
			t.Error("a zero deadline does not give the time-out")
		}
		if d := Until(time.Now().Add(time.Second), time.Minute); time.Until(d) != time.Second {
			t.Error("a deadline is not kept")
		}
	})
}

func TestCluster(t *testing.T) {
	down := errors.New("gone fishing")
	c := &Cluster{Mode: "x", Self: "n", Probe: NewProbe(func(context.Context) error { return down })}
	c.Generation.Note(7)
	c.Generation.Note(6)
	if s := c.Status(); s.State != "active" || s.Members == nil || s.Generation != 7 {
		t.Errorf("%+v", s)
	}
	if err := c.Ready(t.Context()); err != down {
		t.Fatal(err)
	}
	if s := c.Status(); s.State != "unavailable" || s.Reason != down || s.Mode != "x" || s.Self != "n" {
		t.Errorf("%+v", s)
	}
	if err := c.Join(t.Context(), "p"); !errors.Is(err, kv.ErrNotMesh) || !strings.Contains(err.Error(), "serves the same data") {
		t.Error(err)
	}
	if _, err := c.SetReads(t.Context(), kv.ReadsQuorum); !errors.Is(err, kv.ErrNotMesh) || !strings.Contains(err.Error(), "answers the reads") {
		t.Errorf("reads: %v", err)
	}
	if _, err := c.Leave(t.Context(), "p", false); !errors.Is(err, kv.ErrNotMesh) {
		t.Error(err)
	}
}

// A start that nobody bounds ends by itself.
func TestStartEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := Start(context.Background(), NewScrubber("s3cr3t"), func(error) (string, bool) { return "nobody is there", false }, func(context.Context) error {
			return errors.New("refused")
		})
		if took := time.Since(began); err == nil || took > startTimeout || took < startTimeout-longestWait {
			t.Errorf("it took %v: %v", took, err)
		}
	})
}

// TestStartSaysWhy: the error of a start that ran out of time names the reason of the wait, and not
// that the time is over.
func TestStartSaysWhy(t *testing.T) {
	errReadOnly, errForeign := errors.New("read-only"), errors.New("foreign s3cr3t")
	diagnose := func(err error) (string, bool) { return "reason of " + err.Error(), err == errForeign }
	hang := func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("connecting: %w", ctx.Err()) }
	for _, c := range []struct {
		name     string
		attempts []error // nil: hangs until the end
		want     string
		took     time.Duration
	}{
		{"the last attempt is cut short", []error{errReadOnly, nil}, "read-only", time.Second},
		{"the first one is", []error{nil}, "context deadline exceeded", time.Second},
		{"a driver gives up before the end", []error{errReadOnly, context.DeadlineExceeded, nil}, "read-only", time.Second},
		{"a refusal is final", []error{errForeign}, "foreign", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began, n := time.Now(), 0
				err := Start(ctx, NewScrubber("s3cr3t"), diagnose, func(ctx context.Context) error {
					err := c.attempts[n]
					n++
					if err == nil {
						err = hang(ctx)
					}
					return err
				})
				if err == nil || !strings.HasPrefix(err.Error(), "reason of") || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want it to say %q", err, c.want)
				}
				if took := time.Since(began).Truncate(100 * time.Millisecond); n != len(c.attempts) || took != c.took {
					t.Errorf("%d attempts in %v, want %d in %v", n, took, len(c.attempts), c.took)
				}
			})
		})
	}
}
