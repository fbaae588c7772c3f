package console

import "viakv/api/kv"

// These are the documents that the console's page asks for below /console/api. Nothing else reads
// them.

type placement struct {
	Epoch   uint64   `json:"epoch"`
	Members []string `json:"members"` // ascending
	Owners  []int    `json:"owners"`  // the owner of each partition, as an index into Members
}

type memberHolding struct {
	Member     string `json:"member"`
	Error      string `json:"error,omitempty"` // why the holding is not known; the rest is then zero
	Keys       uint64 `json:"keys"`
	Tombstones uint64 `json:"tombstones"`
	Digest     string `json:"digest"` // equal on members with the same records
}

type keyCopies struct {
	Key       string       `json:"key"`
	Partition int          `json:"partition"`
	Epoch     uint64       `json:"epoch"`
	Copies    []memberCopy `json:"copies"`
}

// memberCopy is what one member holds of a key.
type memberCopy struct {
	Member  string        `json:"member"`
	Error   string        `json:"error,omitempty"` // why it is not known
	Tag     string        `json:"tag,omitempty"`   // empty: the member has never heard of the key
	Version *tag          `json:"version,omitempty"`
	Vector  []vectorEntry `json:"vector,omitempty"`
	Value   *string       `json:"value,omitempty"` // nil in a tombstone
}

// tag is a version in its parts.
type tag struct {
	Generation  uint64 `json:"generation"`
	Counter     uint64 `json:"counter"`
	Incarnation uint64 `json:"incarnation"`
	Removed     bool   `json:"removed"`
}

// vectorEntry says that a write had seen all writes of an incarnation up to a counter.
type vectorEntry struct {
	Incarnation uint64 `json:"incarnation"`
	Counter     uint64 `json:"counter"`
}

func placementOf(p kv.Placement) placement {
	return placement{Epoch: uint64(p.Epoch), Members: p.Members, Owners: p.Owners}
}

func holdingsOf(hs []kv.Holding) []memberHolding {
	if hs == nil {
		return nil
	}
	out := make([]memberHolding, len(hs))
	for i, h := range hs {
		out[i] = memberHolding{Member: h.Member, Error: text(h.Err), Keys: h.Keys, Tombstones: h.Tombstones, Digest: h.Digest}
	}
	return out
}

func copiesOf(k kv.KeyCopies) keyCopies {
	out := keyCopies{Key: k.Key, Partition: k.Partition, Epoch: uint64(k.Epoch)}
	for i := range k.Copies {
		out.Copies = append(out.Copies, copyOf(&k.Copies[i]))
	}
	return out
}

func copyOf(c *kv.Copy) memberCopy {
	out, r := memberCopy{Member: c.Member, Error: text(c.Err)}, &c.Record
	if c.Err != nil || r.Tag.IsZero() {
		return out
	}
	out.Tag = r.Tag.String()
	out.Version = &tag{
		Generation: uint64(r.Tag.Generation), Counter: r.Tag.Counter, Incarnation: uint64(r.Tag.Incarnation), Removed: r.Tag.Removed,
	}
	for _, e := range r.Vector.Entries() {
		out.Vector = append(out.Vector, vectorEntry{Incarnation: uint64(e.Incarnation), Counter: e.Counter})
	}
	if r.Live() {
		value := string(r.Value)
		out.Value = &value
	}
	return out
}

// text returns the text of an error, and an empty string for nil.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
