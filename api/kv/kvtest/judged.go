package kvtest

import (
	"viakv/api/health"
	"viakv/api/kv"
)

// Judged returns a status with the verdict on what it says of the members. The first member is
// taken for the leader.
func Judged(s kv.Status) kv.Status {
	f := health.Facts{Self: s.Self, Cluster: s.Cluster, Generation: uint64(s.Generation), N: s.N, R: s.R, W: s.W, Leases: s.Reads == kv.ReadsLease}
	for i := range s.Members {
		m := &s.Members[i]
		f.Leader = s.Members[0].Name
		f.Members = append(f.Members, health.Member{Name: m.Name, State: m.State, Reach: m.Reach, Since: m.Since, Full: m.Full})
	}
	s.Health = health.Judge(&f)
	return s
}
