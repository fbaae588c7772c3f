package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestKeysAndValuesAreFunctionsOfTheirIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := Keys{Prefix: rapid.StringMatching(`[a-z:/-]{0,20}`).Draw(t, "prefix"), Seed: rapid.Uint64().Draw(t, "seed")}
		least := len(k.Prefix) + indexDigits
		k.KeySize.Min = rapid.IntRange(least, maxKeySize).Draw(t, "key min")
		k.KeySize.Max = rapid.IntRange(k.KeySize.Min, maxKeySize).Draw(t, "key max")
		k.ValueSize.Min = rapid.IntRange(0, maxValueSize).Draw(t, "value min")
		k.ValueSize.Max = rapid.IntRange(k.ValueSize.Min, maxValueSize).Draw(t, "value max")
		if err := k.Validate(); err != nil {
			t.Fatal(err)
		}
		index := rapid.Uint64Range(0, 9_999_999_999).Draw(t, "index")
		salt := rapid.Uint32().Draw(t, "salt")
		key := k.AppendKey(nil, index)
		if got, ok := k.Index(key); !ok || got != index || len(key) < k.KeySize.Min || len(key) > k.KeySize.Max {
			t.Fatalf("key %q of %d is %d, %v", key, index, got, ok)
		}
		value := k.AppendValue([]byte("before"), index, salt)[6:]
		if len(value) < k.ValueSize.Min || len(value) > k.ValueSize.Max || !k.Matches(index, value) {
			t.Fatalf("value %q of %d does not match", value, index)
		}
		if len(value) > 4 {
			other := append([]byte(nil), value...)
			other[len(other)-1] ^= 1
			if k.Matches(index, other) || k.Matches(index+1, value) {
				t.Fatalf("a wrong value of %d matches", index)
			}
			if _, ok := k.Index(other); ok {
				t.Fatalf("%q is taken for a key", other)
			}
		}
		if len(value) >= saltedSize && string(k.AppendValue(nil, index, salt+1)) == string(value) {
			t.Fatal("two salts give the same value")
		}
	})
}

func TestForeignKeys(t *testing.T) {
	k := DefaultKeys()
	for _, key := range []string{"", "bench-", "bench-00000000x1", "other-0000000001", "bench-00000000011", "bench-0000000001x"} {
		if i, ok := k.Index([]byte(key)); ok {
			t.Errorf("%q is taken for key %d", key, i)
		}
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	for name, k := range map[string]Keys{
		"quote in the prefix": {Prefix: `a"b`, KeySize: Range{20, 20}},
		"key too short":       {Prefix: "abc", KeySize: Range{12, 20}},
		"key too long":        {KeySize: Range{12, 65}},
		"value too long":      {KeySize: Range{12, 12}, ValueSize: Range{0, 257}},
		"value reversed":      {KeySize: Range{12, 12}, ValueSize: Range{9, 8}},
	} {
		if k.Validate() == nil {
			t.Error(name, "was accepted")
		}
	}
}

func TestRanges(t *testing.T) {
	for text, want := range map[string]Range{"7": {7, 7}, "7-9": {7, 9}} {
		got, err := ParseRange(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "9-7", "7-", "-7", "1-x"} {
		if r, err := ParseRange(text); err == nil {
			t.Errorf("%q gave %v", text, r)
		}
	}
}

// share returns the share of the draws that fall below a limit.
func share(t *testing.T, name string, n, limit uint64) float64 {
	t.Helper()
	make, err := newPickers(name, newPopulation(n))
	if err != nil {
		t.Fatal(err)
	}
	d, r := make(), rand.New(rand.NewPCG(1, 2))
	const draws = 200_000
	below := 0
	for range draws {
		i := d.next(r)
		if i >= n {
			t.Fatalf("%s drew %d of %d", name, i, n)
		}
		if i < limit {
			below++
		}
	}
	return float64(below) / draws
}

func TestDistributions(t *testing.T) {
	near := func(name string, got, want float64) {
		t.Helper()
		if got < want-0.02 || got > want+0.02 {
			t.Errorf("%s: %.3f, want about %.2f", name, got, want)
		}
	}
	near("uniform", share(t, "uniform", 1000, 100), 0.1)
	near("hotspot", share(t, "hotspot", 1000, 200), 0.8)
	near("sequential", share(t, "sequential", 1000, 100), 0.1)
	// Of 1000 ranks the first has 1/zeta(1000, 0.99) of all draws; latest puts it at the end.
	near("latest", 1-share(t, "latest", 1000, 999), 1/zeta(1000))
	for _, n := range []uint64{1, 2, 3} {
		for _, name := range Distributions {
			share(t, name, n, 1) // the index is never beyond the population
		}
	}
	if _, err := newPickers("normal", newPopulation(1)); err == nil {
		t.Error("an unknown distribution was accepted")
	}
	if _, err := newPickers("uniform", newPopulation(0)); err == nil {
		t.Error("an empty population was accepted")
	}
}

func TestZipfianIsScattered(t *testing.T) {
	make, err := newPickers("zipfian", newPopulation(10_000))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[uint64]int{}
	d, r := make(), rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		counts[d.next(r)]++
	}
	hottest, most := uint64(0), 0
	for i, n := range counts {
		if n > most {
			hottest, most = i, n
		}
	}
	if most < 8000 || hottest == 0 {
		t.Errorf("the hottest key, %d, was drawn %d times", hottest, most)
	}
}

func TestTheSumOfRanksIsCloseBeyondItsExactPart(t *testing.T) {
	exact := zeta(100_000)
	for i := 100_001; i <= 200_000; i++ {
		exact += math.Pow(float64(i), -theta)
	}
	if got := zeta(200_000); got < exact*0.999999 || got > exact*1.000001 {
		t.Errorf("got %v, want %v", got, exact)
	}
}

func TestMixes(t *testing.T) {
	for text, want := range map[string]Mix{"get=95,set=5": {Get: 95, Set: 5}, "is=1, rm=2": {Has: 1, Remove: 2}, "insert=1,modify=3": {Insert: 1, Modify: 3}} {
		got, d, err := ParseMix(text)
		if err != nil || got != want || d != "zipfian" {
			t.Errorf("%q: %+v, %s, %v", text, got, d, err)
		}
	}
	for _, text := range []string{"", "get", "get=x", "put=5", "get=-1", "get=0"} {
		if m, _, err := ParseMix(text); err == nil {
			t.Errorf("%q gave %v", text, m)
		}
	}
	if _, _, err := ParseMix("e"); err == nil {
		t.Error("mix e scans ranges, which cannot be")
	}
	if m, d, err := ParseMix("D"); err != nil || m != (Mix{Get: 95, Insert: 5}) || d != "latest" {
		t.Errorf("d: %v, %s, %v", m, d, err)
	}
}

func TestStreamsKeepToTheirShares(t *testing.T) {
	all := newPopulation(100)
	make, err := newPickers("uniform", all)
	if err != nil {
		t.Fatal(err)
	}
	s := newStream(Mix{Get: 40, Set: 20, Has: 10, Remove: 10, Insert: 10, Modify: 10}, make(), all, 1)
	counts := map[Kind]int{}
	var last Op
	modified := 0
	for range 11_000 { // a modify is two requests
		op, ok := s.Next()
		if !ok {
			t.Fatal("the stream ended")
		}
		counts[op.Kind]++
		if op.Kind == Set && last.Kind == Get && last.Index == op.Index {
			modified++
		}
		last = op
	}
	for kind, want := range map[Kind]int{Get: 5000, Set: 4000, Has: 1000, Remove: 1000} {
		if got := counts[kind]; got < want*9/10 || got > want*11/10 {
			t.Errorf("%v: %d, want about %d", kind, got, want)
		}
	}
	if grown := all.size() - 100; grown < 850 || grown > 1150 {
		t.Errorf("%d inserts", grown)
	}
	if modified < 900 {
		t.Errorf("%d gets with a set of the same key behind them", modified)
	}
	a, b := newStream(Mix{Get: 1}, make(), all, 7), newStream(Mix{Get: 1}, make(), all, 7)
	for range 100 { // W2
		x, _ := a.Next()
		if y, _ := b.Next(); x != y {
			t.Fatalf("the same seed gave %v and %v", x, y)
		}
	}
}

func ExampleKeys() {
	k := DefaultKeys()
	fmt.Printf("%s\n", k.AppendKey(nil, 42))
	fmt.Println(k.Index([]byte("bench-0000000042")))
	// Output:
	// bench-0000000042
	// 42 true
}
