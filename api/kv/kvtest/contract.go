package kvtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"viakv/api/kv"
)

func contract(t testing.TB, open Open) {
	s := open(t)
	if err := s.Ready(background); err != nil {
		t.Fatalf("ready: %v", err)
	}
	mustMiss(t, s, "k")
	if err := s.Remove(background, []byte("k"), patient()); !errors.Is(err, kv.ErrMissing) {
		t.Fatalf("remove of nothing: got %v, want ErrMissing", err)
	}
	mustSet(t, s, "k", "one")
	mustGet(t, s, "k", "one")
	if _, err := s.Has(background, []byte("k"), patient()); err != nil {
		t.Fatalf("has: %v", err)
	}
	mustSet(t, s, "k", "two")
	mustGet(t, s, "k", "two")
	mustMiss(t, s, "K")
	mustRemove(t, s, "k")
	mustMiss(t, s, "k")
	if err := s.Remove(background, []byte("k"), patient()); !errors.Is(err, kv.ErrMissing) {
		t.Fatalf("second remove: got %v, want ErrMissing", err)
	}
	mustSet(t, s, "k", "three") // a removed key can be set again
	mustGet(t, s, "k", "three")
	mustSet(t, s, "empty", "")
	mustGet(t, s, "empty", "")
	if _, err := s.Set(background, []byte("nil"), nil, patient()); err != nil {
		t.Fatalf("set of a nil value: %v", err)
	}
	mustGet(t, s, "nil", "")
}

// versions checks the versions of writes. They may be zero. Where they are not, a read shows the
// version of the write, and a later write has a later one.
func versions(t testing.TB, open Open) {
	s := open(t)
	first, err := s.Set(background, []byte("k"), []byte("1"), patient())
	if err != nil {
		t.Fatal(err)
	}
	_, read, err := s.Get(background, nil, []byte("k"), patient())
	if err != nil {
		t.Fatal(err)
	}
	has, err := s.Has(background, []byte("k"), patient())
	if err != nil {
		t.Fatal(err)
	}
	if read != first || has != first {
		t.Fatalf("versions of one write: set %v, get %v, has %v", first, read, has)
	}
	second, err := s.Set(background, []byte("k"), []byte("2"), patient())
	if err != nil {
		t.Fatal(err)
	}
	if !first.IsZero() && !first.Less(second) {
		t.Fatalf("version %v is not below the later write's %v", first, second)
	}
}

// borrowedSlices checks that the store keeps no slice that it was given, and changes none that it
// returned (C3).
func borrowedSlices(t testing.TB, open Open) {
	s := open(t)
	key, value := []byte("key"), []byte("value")
	if _, err := s.Set(background, key, value, patient()); err != nil {
		t.Fatal(err)
	}
	copy(key, "xxx")
	copy(value, "yyyyy")
	mustGet(t, s, "key", "value")
	mustMiss(t, s, "xxx")

	got, _, err := s.Get(background, []byte("before:"), []byte("key"), patient())
	if err != nil || string(got) != "before:value" {
		t.Fatalf("get appends: got %q, %v", got, err)
	}
	mustSet(t, s, "key", "other")
	mustGet(t, s, "key", "other")
	if string(got) != "before:value" {
		t.Fatalf("a value that was handed out became %q", got)
	}
	copy(got[len("before:"):], "VALUE")
	mustGet(t, s, "key", "other")
}

// againstMap runs random requests and compares every answer with that of a map.
func againstMap(t testing.TB, open Open) {
	const steps = 1500
	s := open(t)
	random := rand.New(rand.NewPCG(7, 7))
	letters := []rune{'a', 'b', 0, 'é', '𝄞', '%'}
	text := func(n int) string {
		r := make([]rune, n)
		for i := range r {
			r[i] = letters[random.IntN(len(letters))]
		}
		return string(r)
	}
	model := map[string]string{}
	for i := range steps {
		k := text(1 + random.IntN(3))
		want, present := model[k]
		switch dice := random.IntN(100); {
		case dice < 40:
			v := fmt.Sprint(i, text(random.IntN(20)))
			mustSet(t, s, k, v)
			model[k] = v
		case dice < 60:
			err := s.Remove(background, []byte(k), patient())
			if present && err != nil || !present && !errors.Is(err, kv.ErrMissing) {
				t.Fatalf("step %d: remove %q (present: %v): %v", i, k, present, err)
			}
			delete(model, k)
		case dice < 97 && present:
			mustGet(t, s, k, want)
		case dice < 97:
			mustMiss(t, s, k)
		case dice < 99:
			mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), model, true)
		default:
			mustClear(t, s)
			clear(model)
		}
	}
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), model, true)
}
