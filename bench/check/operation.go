package check

import (
	"fmt"
	"math"
	"time"
)

// opKind is the kind of an operation.
type opKind uint8

// The kinds of operations. The zero value only reads.
const (
	get opKind = iota
	has
	set
	remove
	clearAll
	scanned // one key of a scan
)

var kindNames = [...]string{"get", "is", "set", "rm", "clear", "scan"}

func (k opKind) String() string { return kindNames[k] }

func (k opKind) mutates() bool { return k == set || k == remove || k == clearAll }

// opResult is what an operation's answer said.
type opResult uint8

// The results of an operation. The zero value says least.
const (
	open    opResult = iota // no definite answer (K1)
	done                    // success; a read found the value
	missing                 // there was no value
	refused                 // nothing happened (K2)
)

var resultNames = [...]string{"?", "ok", "missing", "refused"}

func (r opResult) String() string { return resultNames[r] }

// opValue stands for a written value: a number used once in the whole run. Zero: absent.
type opValue int32

// foreign is a value that no operation wrote, or none to this key.
const foreign opValue = -1

// operation is one request of one client.
type operation struct {
	Client   int
	Endpoint int
	Kind     opKind
	Result   opResult
	Value    opValue       // the value written or read
	Call     time.Duration // since the start of the history
	Return   time.Duration // forever when open
}

const forever = time.Duration(math.MaxInt64)

func (o operation) String() string {
	until := "open"
	if o.Return != forever {
		until = seconds(o.Return)
	}
	what := o.Kind.String()
	switch {
	case o.Kind == set:
		what += fmt.Sprintf("(v%d)", o.Value)
	case o.Value == foreign:
		what += " a value that was not written to this key"
	case o.Result == done && (o.Kind == get || o.Kind == scanned):
		what += fmt.Sprintf(" v%d", o.Value)
	}
	return fmt.Sprintf("%s .. %s  client %d at node %d: %s %s", seconds(o.Call), until, o.Client, o.Endpoint, what, o.Result)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }
