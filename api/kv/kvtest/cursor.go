package kvtest

import (
	"errors"
	"strings"
	"testing"

	"viakv/api/kv"
)

// someCursor returns a cursor from the middle of the store.
func someCursor(t testing.TB, s kv.Store, limit int) string {
	t.Helper()
	c, _ := page(t, s, kv.ScanOptions{Options: patient()}, limit, map[string]string{})
	if c == "" {
		t.Fatal("no cursor in the middle of a scan")
	}
	return c
}

func mustRefuse(t testing.TB, s kv.Store, cursor, what string) {
	t.Helper()
	sc, err := s.Scan(background, kv.ScanOptions{Options: patient(), Cursor: cursor})
	if err == nil {
		sc.Close()
		t.Fatalf("%s: cursor %q was taken", what, cursor)
	}
	if !errors.Is(err, kv.ErrBadCursor) {
		t.Fatalf("%s: cursor %q: got %v, want ErrBadCursor", what, cursor, err)
	}
}

func forgedCursors(t testing.TB, open Open) {
	s := open(t)
	fill(t, s, numbered(50))
	good := someCursor(t, s, 20)
	forged := []string{
		" ", "x", "0", "null", "\x00", "AAAA", "%", "é", strings.Repeat("A", 64), strings.Repeat("A", 100_000),
		good + "A", good + "=", good + " ", " " + good, good + good, good + "\n", good[:9] + "\r\n" + good[9:], good[1:], good[:len(good)-1], good[:len(good)/2],
		strings.ToUpper(good) + "a", kv.EncodeCursor([]byte("key 00010")),
	}
	for _, c := range forged {
		mustRefuse(t, s, c, "forged")
	}
	// Each character of the cursor is damaged in turn.
	for i := range len(good) {
		b := []byte(good)
		if b[i] == 'A' {
			b[i] = 'B'
		} else {
			b[i] = 'A'
		}
		mustRefuse(t, s, string(b), "damaged")
	}
	if sc, err := s.Scan(background, kv.ScanOptions{Options: patient(), Cursor: good}); err != nil {
		t.Fatalf("the undamaged cursor: %v", err)
	} else {
		sc.Close()
	}
}

func foreignCursor(t testing.TB, open Open) {
	one, two := open(t), open(t)
	pairs := numbered(50)
	fill(t, one, pairs)
	fill(t, two, pairs)
	mustRefuse(t, two, someCursor(t, one, 20), "of another store")
}
