package topology

import (
	"encoding/json"
	"fmt"
)

// Encode returns the document: what is logged, handed to peers and shown to nobody else, for it holds secrets.
func (t *Topology) Encode() []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic(fmt.Sprintf("topology: encode: %v", err)) // plain values only: cannot fail
	}
	return b
}

// Decode reads a document that a peer handed over, and checks it.
func Decode(b []byte) (*Topology, error) {
	t := new(Topology)
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("topology: malformed document: %w", err)
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	return t, nil
}
