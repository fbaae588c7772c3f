package topology

import (
	"encoding/json"
	"fmt"
)

// Encode returns the document: the form in which a topology is sent to peers and kept in the log's
// snapshots. It holds secrets, so it must not be shown elsewhere.
func (t *Topology) Encode() []byte { return encodeJSON(t) }

// Decode reads a document that a peer has sent, and checks it.
func Decode(b []byte) (*Topology, error) {
	t := new(Topology)
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("topology: malformed document: %w", err)
	}
	if err := t.validate(); err != nil {
		return nil, err
	}
	return t, nil
}
