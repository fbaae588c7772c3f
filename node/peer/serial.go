package peer

import "sync/atomic"

// serial tells whether the requests of this node come one at a time. One that finds no other
// under way may still be the first of many that are ready to run, whose calls should travel in one
// write; so it takes a row of calls that were each made when no other request was under way.
type serial struct{ left atomic.Int32 }

// serialRun is how many calls in a row must have been alone before the next counts as such: some
// milliseconds of one client.
const serialRun = 64

// observe is told how many requests are under way when one of them makes a call, and reports
// whether that one is alone. Where two are counted at once, a row may be counted wrongly; that
// costs a yield or spares one.
func (s *serial) observe(underway int64) bool {
	left := s.left.Load()
	switch {
	case underway > 1:
		if left != serialRun {
			s.left.Store(serialRun)
		}
		return false
	case left > 0:
		s.left.Store(left - 1)
		return false
	}
	return true
}
