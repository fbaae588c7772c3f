package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

const (
	// maxLoadPairs and maxLoadBytes bound a request of SetMany, in pairs and in bytes of keys and
	// values. A node stores that many pairs with different keys as one batch. So such a request
	// takes no longer than a set may, and one of which nothing was stored can go to another
	// endpoint.
	maxLoadPairs = 4096
	maxLoadBytes = 256 << 10
	// maxFailures is how many runs of pairs a LoadError lists. SetMany ends with the last.
	maxFailures = 1000
)

// LoadError is the error of SetMany. It says what became of the pairs, whose numbers begin with 1.
// The pairs before Next that are in none of Failed are stored.
type LoadError struct {
	Stored int64 // how many pairs are stored
	// Failed are the pairs that are not stored, or are not known to be, in the order of their
	// numbers.
	Failed []Failure
	// Next is the first pair that was not tried. Neither it nor a later one is stored. Zero: all
	// were tried.
	Next int64
	// Err is what SetMany ended with: an *Error or ErrNotViakv of a request, a *kv.ArgumentError
	// when no node would store pair Next, or why the context has ended. Where SetMany went on to
	// the last pair, Err is the *Error of the first request that failed.
	Err error
}

// Failure is a run of pairs that were not stored for the same reason.
type Failure struct {
	First, Last int64  // the numbers of the pairs
	Kind        string // as in Error
	Detail      string // what is the case, and what to do
	// Outcome is kv.None when it is certain that none of the pairs was stored or will be.
	Outcome kv.Outcome
}

func (e *LoadError) Error() string {
	var b strings.Builder
	if _, ok := errors.AsType[*kv.ArgumentError](e.Err); ok {
		fmt.Fprintf(&b, "pair %d: ", e.Next)
	}
	fmt.Fprintf(&b, "%v; stored: %d", e.Err, e.Stored)
	for i, f := range e.Failed {
		if i == 3 {
			fmt.Fprintf(&b, " and %d more runs", len(e.Failed)-i)
			break
		}
		b.WriteString([]string{"; not stored, or not known to be: ", ", "}[min(i, 1)])
		b.WriteString(strconv.FormatInt(f.First, 10))
		if f.Last > f.First {
			fmt.Fprintf(&b, " to %d", f.Last)
		}
	}
	if e.Next > 0 {
		fmt.Fprintf(&b, "; not tried: from %d on", e.Next)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *LoadError) Unwrap() error { return e.Err }

// SetMany stores pairs, each by itself as Set does, and returns how many are stored. Every error is
// a *LoadError, which says which pairs are not.
//
// The pairs are stored in their order, so of several with one key the last one stands. They are
// sent in requests of a few thousand, one after the other, and the memory that this takes does not
// depend on how many there are. A pair with a key that its request has already begins the next
// request.
//
// SetMany goes on past pairs that could not be stored. It ends at a pair that no node would store,
// which is not sent, and after a request of which nothing was stored or which was not answered.
func (c *Client) SetMany(ctx context.Context, pairs iter.Seq2[string, string]) (stored int64, err error) {
	l := loads.Get().(*load)
	l.client, l.ctx, l.report = c, ctx, LoadError{}
	defer func() {
		l.reset()
		l.client, l.ctx, l.report = nil, nil, LoadError{}
		loads.Put(l)
	}()
	number := int64(0)
	for key, value := range pairs {
		number++
		fault := checkPair(key, value)
		if (fault != nil || !l.fits(key, value)) && !l.send() {
			l.report.Next = cmp.Or(l.report.Next, number)
			break
		}
		if fault != nil {
			l.report.Next, l.report.Err = number, fault
			break
		}
		l.add(number, key, value)
	}
	l.send() // nothing, if the loop was left
	stored = l.report.Stored
	if l.report.Err == nil {
		return stored, nil
	}
	report := l.report
	return stored, &report
}

// load is a SetMany under way.
type load struct {
	client *Client
	ctx    context.Context
	report LoadError

	// The request that is being gathered:
	first, count int64 // the number of its first pair, and how many it has
	size         int   // bytes of their keys and values
	keys         map[string]struct{}
	body         []byte
}

// loads keeps loads for reuse: each has a MiB of memory, or two.
var loads = sync.Pool{New: func() any { return &load{keys: map[string]struct{}{}} }}

func (l *load) reset() {
	l.first, l.count, l.size, l.body = 0, 0, 0, l.body[:0]
	clear(l.keys)
}

// fits reports whether the request has room for a pair, and does not have its key.
func (l *load) fits(key, value string) bool {
	if l.count == maxLoadPairs || l.count > 0 && l.size+len(key)+len(value) > maxLoadBytes {
		return false
	}
	_, there := l.keys[key]
	return !there
}

func (l *load) add(number int64, key, value string) {
	if l.count == 0 {
		l.first = number
	}
	l.count++
	l.size += len(key) + len(value)
	l.keys[key] = struct{}{}
	l.body = appendJSON(append(l.body, `{"key":`...), key)
	l.body = appendJSON(append(l.body, `,"value":`...), value)
	l.body = append(l.body, "}\n"...)
}

// send sends the request that was gathered, if it has pairs, and notes what became of them. It
// reports whether the load goes on.
func (l *load) send() bool {
	defer l.reset()
	switch {
	case l.count == 0:
		return true
	case l.ctx.Err() != nil:
		l.report.Next, l.report.Err = l.first, context.Cause(l.ctx)
		return false
	}
	k := l.client.data("/setAll", true)
	k.json, k.body = true, l.body
	var answer struct{ Stored int64 }
	err := l.client.do(l.ctx, k, func(r *fasthttp.Response) error {
		err := decode(&answer)(r)
		if err == nil && answer.Stored != l.count {
			err = fmt.Errorf("%w: %d pairs were sent, and it says that %d are stored", ErrNotViakv, l.count, answer.Stored)
		}
		return err
	})
	if err == nil {
		l.report.Stored += l.count
		return true
	}
	return l.failed(err)
}

// failed notes what became of a request that did not succeed. It reports whether the load goes on.
func (l *load) failed(err error) (goOn bool) {
	r := &l.report
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Err: err} // viakv gives no such answer
	}
	switch p := e.load; {
	case p.valid(l.count):
		r.Stored += p.stored
		for _, f := range p.failed {
			r.Failed = append(r.Failed, Failure{First: l.first + f.First - 1, Last: l.first + f.Last - 1,
				Kind: strings.TrimPrefix(f.Type, problemPrefix), Detail: f.Detail, Outcome: outcome(f.Outcome)})
		}
		if p.next > 0 {
			r.Next = l.first + p.next - 1
		}
		goOn = p.stored > 0 && p.next == 0 && len(r.Failed) < maxFailures
	case e.Outcome == kv.None:
		r.Next = l.first
	default:
		detail := e.Detail
		if e.Err != nil {
			detail = e.Err.Error()
		}
		r.Failed = append(r.Failed, Failure{First: l.first, Last: l.first + l.count - 1, Kind: e.Kind, Detail: detail})
	}
	if r.Err == nil || !goOn {
		r.Err = err
	}
	return goOn
}

// loadProblem is what the problem document of a load has beside that of any other request. It
// counts lines, and a request of SetMany has a line for each pair.
type loadProblem struct {
	stored int64
	next   int64 // zero: all lines were tried
	failed []failedLines
}

// failedLines is a run of lines that were not stored.
type failedLines struct {
	First, Last           int64
	Type, Detail, Outcome string
}

// valid reports whether a problem accounts for each of a request's pairs, and not all are stored.
func (p *loadProblem) valid(count int64) bool {
	if p == nil || p.next < 0 || p.next > count {
		return false
	}
	accounted, last := p.stored, int64(0)
	for _, f := range p.failed {
		if f.First <= last || f.Last < f.First {
			return false
		}
		last = f.Last
		accounted += f.Last - f.First + 1
	}
	tried := count
	if p.next > 0 {
		tried = p.next - 1
	}
	return p.stored >= 0 && p.stored < count && last <= tried && accounted == tried
}

var (
	errNoKey   = &kv.ArgumentError{Parameter: "key", Detail: "empty: give one of 1 to " + strconv.Itoa(kv.MaxKeyCharacters) + " characters"}
	errNotText = "not UTF-8: encode other bytes, as base64 for example"
)

// checkPair returns an error for a pair that no node would store.
func checkPair(key, value string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return checkText("value", value, kv.MaxValueCharacters)
}

func checkKey(key string) error {
	if key == "" {
		return errNoKey
	}
	return checkText("key", key, kv.MaxKeyCharacters)
}

func checkText(what, text string, limit int) error {
	if !utf8.ValidString(text) {
		return &kv.ArgumentError{Parameter: what, Detail: errNotText}
	}
	if len(text) > limit {
		if n := utf8.RuneCountInString(text); n > limit {
			return &kv.ArgumentError{Parameter: what, Detail: fmt.Sprintf("it has %d characters; the limit is %d", n, limit)}
		}
	}
	return nil
}

// appendJSON appends UTF-8 text as a JSON string.
func appendJSON(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if c >= ' ' {
			dst = append(dst, '\\', c)
		} else {
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
