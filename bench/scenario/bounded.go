package scenario

import (
	"sync/atomic"

	"viakv/bench/workload"
)

// bounded is a number of requests that workers share.
type bounded struct {
	taken atomic.Uint64
	n     uint64
}

// upTo is a stream that ends when the shared requests are used up.
type upTo struct {
	*bounded
	stream *workload.Stream
}

// Next implements runner.Source.
func (s *upTo) Next() (workload.Op, bool) {
	if s.taken.Add(1) > s.n {
		return workload.Op{}, false
	}
	return s.stream.Next()
}
