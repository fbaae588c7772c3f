// Package bench loads, checks and breaks a viakv cluster from outside: everything goes over HTTP,
// through the same client that programs use.
//
//	workload   keys, values, distributions, mixes: pure
//	runner     closed and open loops over pipelined connections, histograms, the highest rate
//	load       filling a store, and whole-store reads, checked for completeness
//	baseline   a bare HTTP server over a map, the limit of the machine
//	check      histories of concurrent clients, checked for linearizability
//	chaos      a cluster of real processes behind a network that can be broken
//	scenario   all of these, as the commands and the testing service run them
//	report     results as text, JSON, CSV, histograms and a page; comparison of two
//	service    the testing service: the scenarios behind a web page
//	against    other stores under the same load, in a module of its own
//
// B1. A figure is never better than what a user would have seen. An open loop measures from the
// intended start and counts arrivals that could not be sent. A closed loop says that it is one.
//
// B2. Histograms are merged; percentiles are never averaged.
//
// B3. Every load is bounded in count and in time. It goes to this machine unless the user allows
// another (Loopback).
//
// B4. A request that was sent and got no definite answer is neither a success nor a failure: it may
// take effect at any later time.
//
// B5. A target that fails during a run is part of the result, not an error of the run.
package bench
