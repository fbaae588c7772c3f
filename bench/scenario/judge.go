package scenario

import (
	"viakv/bench/report"
)

// A run passes only when the target has served it. What may go wrong is stated beforehand:
// MaxErrors is the share of requests that may be refused, fail or be dropped, and MaxMisses the
// share of reads that may find no key. A target that dies in the middle of a run is a result and no
// error of the run (package bench, B5), but it is no result that passes.

// judge fails a run without a good answer, with wrong values, with a rate that was beyond reach, or
// in which more requests were not served, or found no key, than is tolerated.
func (s *Spec) judge(r *report.Report) {
	l := r.Load
	if l.Good == 0 {
		r.Fail("no request succeeded")
	}
	if n := l.Errors.Mismatch; n > 0 {
		r.Fail("%d gets returned values that nobody had set", n)
	}
	if l.Behind() {
		r.Fail("the rate cannot be reached: %s requests a second were asked for and %s answered; ask for less, or allow more connections or requests in flight",
			report.Count(int64(l.Asked)), report.Count(int64(l.Throughput)))
	}
	s.judgeLoad(r, "", l)
}

// judgeLoad fails a report of which a load was not served as it must be. The text in says which
// load it is, and ends with a colon and a space; it is empty for the load of the report itself.
func (s *Spec) judgeLoad(r *report.Report, in string, l *report.Load) {
	tolerated := s.MaxErrors / 100
	if float64(l.Unserved()) > tolerated*float64(l.Requests()) {
		r.Fail("%s%s; at most %g %% may be", in, l.NotServed(), s.MaxErrors)
	}
	// A closed loop without a connection sends nothing. So its requests alone would not tell.
	if l.Silent > tolerated {
		r.Fail("%sthe connections were without an answer for %.1f %% of their time: %s could not be made, and %s requests were lost; at most %g %% may be", in,
			100*l.Silent, report.Count(l.Errors.Connect), report.Count(l.Errors.Lost), s.MaxErrors)
	}
	if allowed := s.allowedMisses(); float64(l.Missing) > allowed*float64(l.Lookups()) {
		r.Fail("%s%s; at most %.3g %% may: fill the store first, with bench load and the same key flags, or ask for misses with --max-misses", in, l.FoundNoKey(), 100*allowed)
	}
}

// removed is how many more misses than its share of removes a mix with removes may have, as a part
// of all. Keys that are drawn often make the number vary.
const removed = 0.1

// allowedMisses returns the share of reads and removes that may find no key, from 0 to 1. A mix
// that removes keys makes misses itself: in the end, a key is away as often as its last write was a
// remove.
func (s *Spec) allowedMisses() float64 {
	allowed := s.MaxMisses / 100
	if m, _, err := s.mix(); err == nil && m.Remove > 0 {
		writes := m.Remove + m.Set + m.Insert + m.Modify
		allowed += float64(m.Remove)/float64(writes) + removed
	}
	return min(allowed, 1)
}
