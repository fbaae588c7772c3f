package kv

// Plan is what a change of the members would do to the quorums, as one node sees the mesh now. The cluster decides anew when it is asked.
type Plan struct {
	Change   string   `json:"change"`           // "join", or "leave of NAME"
	Possible bool     `json:"possible"`         // false: it would be refused now
	Reason   string   `json:"reason,omitempty"` // why not
	Now      Strength `json:"now"`
	After    Strength `json:"after"`
	Notes    []string `json:"notes,omitempty"`
}

// LastMember is why the last member cannot leave, wherever that is found.
const LastMember = "it is the last member: its keys would be lost; /clear removes them, /join takes them into another mesh"

// Strength is what a mesh can lose.
type Strength struct {
	N             int `json:"n"`
	Serving       int `json:"serving"` // members that are active and reachable
	R             int `json:"r"`
	W             int `json:"w"`
	ReadFailures  int `json:"readFailures"`  // of the serving ones, how many may fail before reads do
	WriteFailures int `json:"writeFailures"` // the same of writes
}
