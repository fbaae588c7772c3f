package api

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"viakv/api/kv"
	"viakv/api/pairs"
)

const loadPath = "/setAll"

const (
	// maxBatch and maxBatchBytes bound a batch of a load, in values and in bytes of keys and
	// values.
	maxBatch      = 4096
	maxBatchBytes = 256 << 10
	// maxFaults is how many runs of lines that were not stored a load lists. It ends with the last.
	maxFaults = 1000
)

// load is one request to store many values. While a batch is being stored, the next one is read
// from the client. So a client that is faster than the store waits, and memory stays flat. The
// batches follow each other, so of several lines with one key the last one stands.
type load struct {
	x       *exchange
	options kv.Options
	body    *body
	coding  coding
	unit    string // what its numbers count
	pairs   *pairs.Reader
	batches [2]*batch
	held    bool  // the pair that was read last is in no batch yet
	ended   bool  // the body was read to its end
	settled int64 // pairs that have their outcome
	refused int64 // of these, those that the cluster could not store
	report  loadReport
}

// loadReport is what became of a load.
type loadReport struct {
	stored int64
	faults []loadFault
	next   int64 // the first line that was not tried; 0: all were
}

// loadFault is a run of lines that were not stored for the same reason.
type loadFault struct {
	first, last int64
	lastPair    int64 // the number of the last line's pair
	err         error
	problem     problem
}

// batch is some pairs of a load, whose keys differ.
type batch struct {
	writes []kv.Write
	lines  []int64 // of the writes
	arena  []byte  // their keys and values
	keys   map[uint64]struct{}
	done   chan any // gets nil when all have their outcome, or what the store panicked with
}

func newBatch() *batch {
	return &batch{arena: make([]byte, 0, maxBatchBytes+kv.MaxKeyBytes+kv.MaxValueBytes), keys: map[uint64]struct{}{}, done: make(chan any, 1)}
}

// loads keeps loads for reuse: each has about two MiB of memory.
var loads = sync.Pool{New: func() any {
	return &load{pairs: new(pairs.Reader), batches: [2]*batch{newBatch(), newBatch()}}
}}

// setAll answers /setAll.
func setAll(x *exchange) error {
	s := x.server
	format, err := x.loadFormat()
	if err != nil {
		return err
	}
	options, err := x.options()
	if err != nil {
		return err
	}
	options.Deadline = time.Time{} // each step of the store has the time-out
	coding, err := contentCoding(&x.ctx.Request.Header)
	if err != nil {
		return err
	}
	select {
	case s.loads <- struct{}{}:
		defer func() { <-s.loads }()
	default:
		s.metrics.overloads.Inc()
		return overload("the server runs as many loads as it may (" + strconv.Itoa(s.config.MaxLoads) + ")")
	}
	l := loads.Get().(*load)
	*l = load{x: x, options: options, body: x.openBody(), coding: coding, unit: "line", pairs: l.pairs, batches: l.batches}
	if format == pairs.Object {
		l.unit = "pair"
	}
	content, done, err := l.body.decode(coding)
	if err != nil {
		err, l.report.next = l.explain(err), 1
	} else {
		l.pairs.Reset(&decoded{content, l.stopped}, format)
		err = l.run()
		done()
	}
	err = l.answer(err)
	l.pairs.Reset(nil, format)
	l.x, l.body = nil, nil
	loads.Put(l)
	return err
}

// loadFormat returns the format of a load's body: what the parameter names, or what the content
// type says. Lines are the default.
func (x *exchange) loadFormat() (pairs.Format, error) {
	if !x.parameters.seen.has(parameterFormat) {
		mediaType, _, _ := bytes.Cut(x.ctx.Request.Header.ContentType(), []byte(";"))
		if bytes.EqualFold(bytes.TrimSpace(mediaType), []byte(jsonType)) {
			return pairs.Object, nil
		}
		return pairs.NDJSON, nil
	}
	name, err := x.short(parameterFormat)
	switch {
	case err != nil:
		return pairs.NDJSON, err
	case name == "json":
		return pairs.Object, nil
	case name == "ndjson":
		return pairs.NDJSON, nil
	}
	return pairs.NDJSON, badParameter(parameterFormat, "give json or ndjson")
}

// run stores what the body has, to its end or to a fault of it, which it returns.
func (l *load) run() error {
	var running *batch
	for i := 0; ; i++ {
		b := l.batches[i%2]
		more, err := l.fill(b)
		if running != nil && !l.settle(running) {
			l.report.next = l.position()
			if len(b.writes) > 0 {
				l.report.next = b.lines[0]
			}
			return nil
		}
		running = nil
		if len(b.writes) > 0 {
			running = b
			go l.store(b)
		}
		if more {
			continue
		}
		if running != nil {
			l.settle(running)
		}
		if err != nil {
			l.report.next = l.position()
		}
		return err
	}
}

// fill reads the next batch. It returns whether there may be more, and why there is not if that is
// a fault.
func (l *load) fill(b *batch) (more bool, err error) {
	b.writes, b.lines, b.arena = b.writes[:0], b.lines[:0], b.arena[:0]
	clear(b.keys)
	for len(b.writes) < maxBatch && len(b.arena) < maxBatchBytes {
		if !l.held && !l.pairs.Next() {
			if err = l.pairs.Err(); err != nil {
				return false, l.explain(err)
			}
			l.ended = true
			return false, nil
		}
		if l.held = !b.add(l.pairs); l.held {
			break // it goes into a batch behind the one that has its key
		}
	}
	return true, nil
}

var keySeed = maphash.MakeSeed()

// add adds a reader's pair. It reports false, and does nothing, if the batch has the pair's key.
func (b *batch) add(p *pairs.Reader) bool {
	key, value := p.Key(), p.Value()
	hash := maphash.Bytes(keySeed, key)
	if _, there := b.keys[hash]; there {
		return false
	}
	b.keys[hash] = struct{}{}
	at := len(b.arena)
	b.arena = append(append(b.arena, key...), value...) // within its capacity
	middle := at + len(key)
	b.writes = append(b.writes, kv.Write{Key: b.arena[at:middle:middle], Value: b.arena[middle:]})
	b.lines = append(b.lines, p.Line())
	return true
}

// store stores a batch.
func (l *load) store(b *batch) {
	defer func() {
		cause := recover()
		if cause != nil {
			cause = fmt.Sprintf("%v, in a batch of a load:\n%s", cause, debug.Stack())
		}
		b.done <- cause
	}()
	s := l.x.server
	s.config.Store.SetMany(s.base, b.writes, l.options)
}

// settle waits until a batch has its outcomes. It reports whether the load goes on: it ends when
// nothing of a batch was stored, or when there are too many faults to list.
func (l *load) settle(b *batch) bool {
	if cause := <-b.done; cause != nil {
		panic(cause)
	}
	stored := int64(0)
	for i := range b.writes {
		l.settled++
		if err := b.writes[i].Err; err != nil {
			l.note(b.lines[i], err)
		} else {
			stored++
		}
	}
	l.report.stored += stored
	return stored > 0 && len(l.report.faults) < maxFaults
}

// note notes that a line was not stored, or is not known to be.
func (l *load) note(line int64, err error) {
	n := len(l.report.faults) - 1
	if n < 0 || l.report.faults[n].lastPair != l.settled-1 || l.report.faults[n].err.Error() != err.Error() {
		p, _ := l.x.problemOf(err)
		l.report.faults = append(l.report.faults, loadFault{first: line, err: err, problem: p})
		n++
	}
	f := &l.report.faults[n]
	f.last, f.lastPair = line, l.settled
	if f.problem.status >= 500 {
		l.refused++
	}
}

// position returns the first line that is in no batch: the one at fault, or where the reader
// stands. It is 0 at the end.
func (l *load) position() int64 {
	bad, _ := errors.AsType[*pairs.Error](l.pairs.Err())
	switch {
	case bad != nil:
		return bad.Line
	case l.held:
		return l.pairs.Line()
	case l.ended:
		return 0
	}
	return l.pairs.Line() + 1
}

var errStopping = &kv.Unavailable{Outcome: kv.None, Reason: "the node is shutting down"}

// explain turns an error of reading the body into a problem.
func (l *load) explain(err error) error {
	if bad, ok := errors.AsType[*pairs.Error](err); ok {
		return &refusal{kind: kindBadLine, detail: bad.Error(), outcome: kv.None}
	}
	switch {
	case errors.Is(err, errStopping), timedOut(l.body.err) && l.stopped():
		return errStopping
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return refuse(kindMalformed, fmt.Sprintf("the body was compressed with a window of more than %d MiB: use a smaller one", maxWindow>>20))
	case l.body.err == nil:
		return refuse(kindMalformed, fmt.Sprintf("the body is not what its Content-Encoding says (%s): %v", l.coding, err))
	case !timedOut(l.body.err):
		return refuse(kindMalformed, "the connection ended before the body did")
	}
	return refuse(kindSlow, fmt.Sprintf("nothing of the body came for %s", l.body.timeout))
}

// stopped reports whether the server is shutting down. What a load has read is stored then.
func (l *load) stopped() bool { return l.x.server.gate.closing.Load() }

// answer answers with what became of the load. fault is why it ended before its body did, if it
// did.
func (l *load) answer(fault error) error {
	x, r := l.x, &l.report
	x.server.metrics.load(r.stored, l.refused)
	if fault == nil && len(r.faults) == 0 {
		if x.wantsJSON() {
			x.json(append(strconv.AppendInt(append(x.body[:0], `{"stored":`...), r.stored, 10), "}\n"...))
			return nil
		}
		x.ctx.SetContentType(textType)
		x.ctx.SetBodyString("OK, " + values(r.stored) + "\n")
		return nil
	}
	if !l.ended {
		x.closeAfterAnswer(lingerLoadBytes)
	}
	var p problem
	if fault != nil {
		p, _ = x.problemOf(fault)
	} else {
		p = r.faults[0].problem
	}
	p.load = &loadReport{r.stored, r.faults, r.next} // the load is used again
	// The load as a whole has done nothing only if no line of it has.
	known := r.stored == 0
	for i := range r.faults {
		known = known && r.faults[i].problem.outcome == kv.None
	}
	p.outcome = kv.Unknown
	if known {
		p.outcome = kv.None
	}
	p.detail += "; " + values(r.stored)
	if len(r.faults) > 0 {
		p.detail += ", those of the " + l.unit + "s in failed are not"
	}
	if r.next > 0 {
		p.detail += fmt.Sprintf("; from %s %d on nothing was tried", l.unit, r.next)
	}
	return (*refusal)(&p)
}

// values says how many values were stored.
func values(n int64) string {
	if n == 1 {
		return "1 value is stored"
	}
	return strconv.FormatInt(n, 10) + " values are stored"
}

// append appends the members of a problem document that say what became of a load.
func (r *loadReport) append(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `,"stored":`...), r.stored, 10)
	if r.next > 0 {
		dst = strconv.AppendInt(append(dst, `,"next":`...), r.next, 10)
	}
	for i := range r.faults {
		f := &r.faults[i]
		if i == 0 {
			dst = append(dst, `,"failed":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"first":`...), f.first, 10)
		dst = strconv.AppendInt(append(dst, `,"last":`...), f.last, 10)
		dst = append(append(append(dst, `,"type":"`+problemTypePrefix...), f.problem.slug...), `","detail":`...)
		dst = appendJSON(dst, []byte(f.problem.detail))
		dst = append(append(append(dst, `,"outcome":"`...), f.problem.outcome.String()...), `"}`...)
	}
	if len(r.faults) > 0 {
		dst = append(dst, ']')
	}
	return dst
}
