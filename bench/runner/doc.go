// Package runner sends load to targets and measures what comes back.
//
// In a closed loop each connection keeps a fixed number of requests in flight, and sends the next
// when one is answered. It finds the throughput. It also waits with a slow target, so its latencies
// leave out the time for which users would have waited (coordinated omission). In an open loop each
// request has an intended time, whatever the target does, and its latency counts from that time
// (B1).
//
// R1. An answer belongs to the second in which it arrived, and to the warm-up when its request
// began there. Samples of the warm-up are shown and not summed.
//
// R2. When a connection breaks, its requests in flight count as lost. The connection is made anew
// after a pause that grows, and the run goes on.
//
// R3. Recording allocates nothing, and takes a lock that few workers share. The collector merges
// once a second.
package runner
