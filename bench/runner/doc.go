// Package runner sends load to targets and measures what comes back.
//
// In a closed loop each connection keeps a fixed number of requests in flight and sends the next when one is answered: it finds the
// throughput, and it waits with a slow target, so that its latencies leave out what users would have waited (coordinated omission). In an open
// loop requests have intended times, whatever the target does, and latency counts from those (B1).
//
// R1. An answer belongs to the second in which it arrived, and to the warm-up when its request began there; samples of the warm-up are shown and not summed.
//
// R2. A connection that breaks costs its requests in flight, counted as lost, and is made anew after a pause that grows; the run goes on.
//
// R3. Recording takes a lock that few workers share, and no allocation; the collector merges once a second.
package runner
