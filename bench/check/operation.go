package check

import (
	"fmt"
	"math"
	"time"
)

// Kind is the kind of an operation.
type Kind uint8

// The kinds of operations. The zero value only reads.
const (
	Get Kind = iota
	Has
	Set
	Remove
	Clear
	Scanned // one key of a scan
)

var kindNames = [...]string{"get", "is", "set", "rm", "clear", "scan"}

func (k Kind) String() string { return kindNames[k] }

func (k Kind) mutates() bool { return k == Set || k == Remove || k == Clear }

// Result is what an operation's answer said.
type Result uint8

// The results of an operation. The zero value says least.
const (
	Open    Result = iota // no definite answer (K1)
	Done                  // success; a read found the value
	Missing               // there was no value
	Refused               // nothing happened (K2)
)

var resultNames = [...]string{"?", "ok", "missing", "refused"}

func (r Result) String() string { return resultNames[r] }

// Value stands for a written value: a number used once in the whole run. Zero: absent.
type Value int32

// Foreign is a value that no operation wrote, or none to this key.
const Foreign Value = -1

// Operation is one request of one client.
type Operation struct {
	Client   int
	Endpoint int
	Kind     Kind
	Result   Result
	Value    Value         // the value written or read
	Call     time.Duration // since the start of the history
	Return   time.Duration // forever when open
}

const forever = time.Duration(math.MaxInt64)

func (o Operation) String() string {
	until := "open"
	if o.Return != forever {
		until = seconds(o.Return)
	}
	what := o.Kind.String()
	switch {
	case o.Kind == Set:
		what += fmt.Sprintf("(v%d)", o.Value)
	case o.Value == Foreign:
		what += " a value that was not written to this key"
	case o.Result == Done && (o.Kind == Get || o.Kind == Scanned):
		what += fmt.Sprintf(" v%d", o.Value)
	}
	return fmt.Sprintf("%s .. %s  client %d at node %d: %s %s", seconds(o.Call), until, o.Client, o.Endpoint, what, o.Result)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }
