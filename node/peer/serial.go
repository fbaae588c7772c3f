package peer

import "sync/atomic"

// serial tells whether the requests of this node come one at a time. A request that finds no other
// under way may still be the first of many that are ready to run, whose calls should travel in one
// write. So requests count as serial only after a row of calls, each made while no other request
// was under way. The zero value counts as serial.
type serial struct{ left atomic.Int32 }

// serialRun is how many calls in a row must find no other request under way before the next one
// counts as serial. That many calls take one client some milliseconds.
const serialRun = 64

// observe takes the number of requests under way when one of them makes a call, and reports whether
// that request is serial. Two calls at the same moment may be counted wrongly. That costs a yield,
// or spares one.
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
