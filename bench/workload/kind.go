package workload

// Kind is the kind of a request.
type Kind uint8

// The kinds of requests. The zero value only reads.
const (
	Get Kind = iota
	Set
	Has
	Remove
	kinds
)

// Kinds is the number of kinds, for tables indexed by a kind.
const Kinds = int(kinds)

var kindNames = [Kinds]string{"get", "set", "is", "rm"}

func (k Kind) String() string { return kindNames[k] }

// Op is one request on the key of an index.
type Op struct {
	Kind  Kind
	Index uint64
	Salt  uint32 // of a set's value
}
