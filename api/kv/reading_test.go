package kv

import (
	"strings"
	"testing"
)

// Each reason why a node asks other members, and each lack of a lease, has its words.
func TestReadingsSayWhy(t *testing.T) {
	said := map[string]bool{"": true}
	for _, why := range NotAloneReasons() {
		r := Reading{Why: why, Leases: 1, Need: 3, Lacks: []LeaseLack{{"b", "no answer"}, {"c", "not given"}}}
		text := r.Reason()
		if why == NotAloneLeases || why == NotAloneCatching {
			if want := "1 of the leases of other members count, and 3 must: b does not answer, c gives none"; text != want {
				t.Errorf("%s: %q, want %q", why, text, want)
			}
			continue
		}
		if said[text] {
			t.Errorf("%s: %q", why, text)
		}
		said[text] = true
	}
	for _, lack := range LeaseLacks() {
		r := Reading{Why: NotAloneLeases, Lacks: []LeaseLack{{"node-b", lack}}}
		if text := r.Reason(); said[text] || !strings.Contains(text, "node-b") || strings.Contains(text, "%!") {
			t.Errorf("%s: %q", lack, text)
		}
		said[r.Reason()] = true
	}
	if len(lacking) != len(LeaseLacks()) {
		t.Errorf("%d sentences for %d lacks", len(lacking), len(LeaseLacks()))
	}
	if text := (&Reading{Alone: true}).Reason(); text != "" {
		t.Errorf("alone: %q", text)
	}
}
