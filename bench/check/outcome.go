package check

// This file has what checks and runs with faults found, as reports keep it in JSON.

// Verdict is the outcome of checking a history for linearizability.
type Verdict struct {
	Clients    int     `json:"clients"`
	Seconds    float64 `json:"seconds"`
	Keys       int     `json:"keys"`
	Operations int     `json:"operations"`
	Unknown    int     `json:"unknown"` // writes whose outcomes were left open
	Refused    int     `json:"refused"` // operations that did nothing, by the target's answer
	Failed     int     `json:"failed"`  // reads that got no answer
	Clears     int     `json:"clears"`
	Scans      int     `json:"scans"`

	// Legal counts keys whose history is legal.
	Legal int `json:"legal"`
	// Undecided counts keys whose check ran out of time. With any of them the run has not passed.
	Undecided  int         `json:"undecided"`
	Violations []Violation `json:"violations,omitempty"`
	CheckTime  float64     `json:"checkTime"` // seconds
	// Stale counts answers that were older than what was known when their requests began. They were
	// noticed at once; the violations say the same. StaleReads are the first of them.
	Stale      int      `json:"stale"`
	StaleReads []string `json:"staleReads,omitempty"`
}

// Violation describes a key whose history no single register could have produced.
type Violation struct {
	Key     string   `json:"key"`
	Reason  string   `json:"reason"`
	History []string `json:"history"` // the operations around it, in order of invocation
}

// Chaos is what happened in a run with faults.
type Chaos struct {
	Seed       uint64   `json:"seed"`
	Nodes      int      `json:"nodes"`
	Seconds    float64  `json:"seconds"`
	Faults     []Fault  `json:"faults"`
	Buckets    []Bucket `json:"buckets"` // per second
	Converged  bool     `json:"converged"`
	Digests    []string `json:"digests,omitempty"`    // of the members at the end
	Unresolved string   `json:"unresolved,omitempty"` // why the cluster did not come together again
	// Longest is the longest time in which no node acknowledged a write, in seconds.
	Longest float64 `json:"longest"`
	// Bearable is the longest such time without the spans in which more was broken at once than a
	// cluster of that size survives. Beyond is the length of these spans together. Both are in
	// seconds.
	Bearable float64 `json:"bearable"`
	Beyond   float64 `json:"beyond"`
}

// Fault is a fault that was injected.
type Fault struct {
	Kind string  `json:"kind"`
	Node string  `json:"node,omitempty"`
	What string  `json:"what"`
	From float64 `json:"from"` // seconds since the start
	To   float64 `json:"to"`
}

// Bucket is what clients saw in one second.
type Bucket struct {
	At      float64 `json:"at"`
	Good    int     `json:"good"`
	Refused int     `json:"refused"`
	Unknown int     `json:"unknown"`
	P50     int64   `json:"p50"` // microseconds
	P99     int64   `json:"p99"`
	Max     int64   `json:"max"`
	// Serving is the number of nodes that acknowledged something.
	Serving int `json:"serving"`
}
