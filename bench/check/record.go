package check

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/client"
	"viakv/api/kv"
	"viakv/api/sleep"
)

// Config describes a recording.
type Config struct {
	// Endpoints are clients, each of one node or load balancer alone, because it must be known
	// where a request went.
	Endpoints  []*client.Client
	Clients    int
	ActiveKeys int
	OpsPerKey  int
	Duration   time.Duration
	// Hot makes the keys hot ones that are mostly read: the clients ask faster, and 95 of 100
	// operations are reads. Only there a stale answer shows that is rare.
	Hot        bool
	ClearEvery time.Duration // zero: never
	ScanEvery  time.Duration // zero: never
	Seed       uint64
	Prefix     string // of the keys; must be new to the cluster
	// OnTick is called once a second with the counts of that second. Nil: not called.
	OnTick func(Tick)
}

// Tick is one second of a recording.
type Tick struct {
	Elapsed             time.Duration
	Good, Refused, Open int64
	Stale               int64 // answers that were stale, of those in Good
}

const (
	maxOpen = 8 // outcomes left open before a key is replaced
	// coolOff is the wait after a refusal, because a node that is down refuses at once.
	coolOff     = 20 * time.Millisecond
	avoidFor    = 500 * time.Millisecond
	avoidChance = 0.8
	// pace is the mean time between a client's operations. The speed of the check is the limit
	// here, not the cluster.
	pace = 2 * time.Millisecond
	// hotPace is the same for hot keys.
	hotPace = 500 * time.Microsecond
	// maxOperations bounds a recording, because all of it is kept in memory.
	maxOperations = 5_000_000
)

// recording makes a History.
type recording struct {
	Config
	*History
	values atomic.Int32
	named  atomic.Int64

	good, refused, open, stale, operations atomic.Int64

	mu     sync.Mutex
	active []*key
}

// Record runs the clients until the duration is over or ctx ends.
func Record(ctx context.Context, c Config) *History {
	r := &recording{Config: c, History: newHistory()}
	for range c.ActiveKeys {
		r.active = append(r.active, r.fresh())
	}
	ctx, cancel := context.WithTimeout(ctx, c.Duration)
	defer cancel()
	var working sync.WaitGroup
	for i := range c.Clients {
		working.Go(func() { r.client(ctx, i) })
	}
	if c.ClearEvery > 0 {
		working.Go(func() { r.every(ctx, c.ClearEvery, r.clear) })
	}
	if c.ScanEvery > 0 {
		working.Go(func() { r.every(ctx, c.ScanEvery, r.scan) })
	}
	if c.OnTick != nil {
		working.Go(func() { r.tick(ctx) })
	}
	working.Wait()
	return r.History
}

func (r *recording) fresh() *key {
	return r.newKey(r.Prefix + strconv.FormatInt(r.named.Add(1), 10))
}

// take returns a random active key for one operation. A key that is used up is replaced first.
func (r *recording) take(random *rand.Rand) *key {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := random.IntN(len(r.active))
	k := r.active[i]
	k.mu.Lock()
	k.taken++
	spent := k.taken > r.OpsPerKey || k.open >= maxOpen
	k.mu.Unlock()
	if spent {
		k = r.fresh()
		r.active[i] = k
	}
	return k
}

// client asks for one operation after another.
func (r *recording) client(ctx context.Context, id int) {
	random := rand.New(rand.NewPCG(r.Seed, uint64(id)))
	avoid := make([]time.Time, len(r.Endpoints))
	mean := pace
	if r.Hot {
		mean = hotPace
	}
	for ctx.Err() == nil && r.operations.Add(1) <= maxOperations {
		// Each client has a home endpoint. So a node that hangs holds up its own clients, and the
		// other clients show what the rest of the cluster does.
		at := id % len(r.Endpoints)
		for tries := 0; tries < len(r.Endpoints) && time.Now().Before(avoid[at]) && random.Float64() < avoidChance; tries++ {
			at = (at + 1) % len(r.Endpoints)
		}
		result := r.operate(ctx, id, at, r.take(random), random)
		pause := time.Duration(random.ExpFloat64() * float64(mean))
		if result == open || result == refused {
			avoid[at] = time.Now().Add(avoidFor)
			pause += coolOff
		}
		sleep.For(ctx, pause)
	}
}

// operate does one operation. It is bounded by the client's own time-out. The end of the recording
// does not cut it off, because an operation that is cut off stays open and makes the check harder.
func (r *recording) operate(ctx context.Context, id, at int, k *key, random *rand.Rand) opResult {
	ctx = context.WithoutCancel(ctx)
	c := r.Endpoints[at]
	o := operation{Client: id, Endpoint: at}
	var (
		err  error
		read opValue
	)
	if o.Kind = r.draw(random); o.Kind == set {
		o.Value = opValue(r.values.Add(1))
	}
	o.Call = r.Elapsed()
	floor := r.watch.begin(k, &o)
	switch o.Kind {
	case get:
		var text string
		if text, err = c.Get(ctx, k.name); err == nil {
			read = parse(k, text)
		}
	case has:
		var found bool
		if found, err = c.Has(ctx, k.name); err == nil && !found {
			err = client.ErrMissing
		}
	case set:
		_, err = c.Set(ctx, k.name, format(k, o.Value))
	default:
		err = c.Remove(ctx, k.name)
	}
	result := resultOf(o.Kind, err)
	o = r.end(k, o, result, read)
	r.count(result)
	if r.watch.end(k, &o, floor) {
		r.stale.Add(1)
	}
	return result
}

// draw returns what a client asks for next.
func (r *recording) draw(random *rand.Rand) opKind {
	shares := [...]int{get: 40, has: 10, set: 35, remove: 15}
	if r.Hot {
		shares = [...]int{get: 930, has: 20, set: 47, remove: 3}
	}
	sum := 0
	for _, n := range shares {
		sum += n
	}
	n := random.IntN(sum)
	for kind, share := range shares {
		if n -= share; n < 0 {
			return opKind(kind)
		}
	}
	return get
}

func (r *recording) count(result opResult) {
	switch result {
	case refused:
		r.refused.Add(1)
	case open:
		r.open.Add(1)
	default:
		r.good.Add(1)
	}
}

// resultOf returns what an error means for the history.
func resultOf(kind opKind, err error) opResult {
	if err == nil {
		return done
	}
	if errors.Is(err, client.ErrMissing) && kind != set && kind != clearAll {
		return missing
	}
	// A read never has an effect. It was refused only if the target said so.
	if e, ok := errors.AsType[*client.Error](err); ok && e.Outcome == kv.None && (kind.mutates() || e.Status != 0) {
		return refused
	}
	return open
}

// format makes a value that names its key, so that a value found at another key is recognized.
func format(k *key, v opValue) string { return fmt.Sprintf("%s=%d", k.name, v) }

func parse(k *key, text string) opValue {
	digits, ours := strings.CutPrefix(text, k.name+"=")
	n, err := strconv.ParseInt(digits, 10, 32)
	if !ours || err != nil || n <= 0 {
		return foreign
	}
	return opValue(n)
}

// Client ids, for the report, of requests that none of the clients made.
const (
	clearer = 1000
	scanner = 1001
	auditor = 1002
)

func (r *recording) every(ctx context.Context, d time.Duration, do func(context.Context, *rand.Rand)) {
	random := rand.New(rand.NewPCG(r.Seed, uint64(d)))
	for sleep.For(ctx, d/2+time.Duration(random.Int64N(int64(d)))) {
		do(context.WithoutCancel(ctx), random)
	}
}

func (r *recording) clear(ctx context.Context, random *rand.Rand) {
	at := random.IntN(len(r.Endpoints))
	o := operation{Client: clearer, Endpoint: at, Kind: clearAll, Call: r.Elapsed()}
	r.watch.begin(nil, &o)
	result := resultOf(clearAll, r.Endpoints[at].Clear(ctx))
	o = r.end(nil, o, result, 0)
	r.watch.end(nil, &o, never)
	r.count(result)
}

// scan reads the active keys. A key that is active when the scan begins or ends gets a read in the
// history, whether the scan found it or not (K5).
func (r *recording) scan(ctx context.Context, random *rand.Rand) {
	at := random.IntN(len(r.Endpoints))
	watched := map[string]*key{}
	watch := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, k := range r.active {
			watched[k.name] = k
		}
	}
	watch()
	o := operation{Client: scanner, Endpoint: at, Kind: scanned, Call: r.Elapsed()}
	found := map[string]string{}
	for pair, err := range r.Endpoints[at].All(ctx, client.ScanOptions{Prefix: r.Prefix}) {
		if err != nil {
			// A scan that was cut, refused, or ended by a clear promised nothing.
			return
		}
		found[pair.Key] = pair.Value
	}
	watch()
	r.History.mu.Lock()
	r.scans++
	r.History.mu.Unlock()
	for name, k := range watched {
		if text, ok := found[name]; ok {
			r.end(k, o, done, parse(k, text))
		} else {
			r.end(k, o, missing, 0)
		}
	}
}

func (r *recording) tick(ctx context.Context) {
	for sleep.For(ctx, time.Second) {
		r.OnTick(Tick{Elapsed: r.Elapsed(), Good: r.good.Swap(0), Refused: r.refused.Swap(0), Open: r.open.Swap(0), Stale: r.stale.Swap(0)})
	}
}
