package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"viakv/api/client"
	"viakv/api/kv"
	"viakv/api/sleep"
)

// Gap is how long the callers of one kind of request at one node went without an answer.
type Gap struct {
	Node    int
	Kind    GapKind
	Longest time.Duration
	Answers int
	Refused int // answers that say that nothing happened
	Unknown int // answers that say that a write may have taken effect or not
	Lost    int // requests without an answer
}

// GapKind is a kind of request of which gaps are measured.
type GapKind uint8

// The kinds of requests of a gapWatch.
const (
	GapGet    GapKind = iota // a get of a key that nobody sets
	GapHotGet                // a get of a hot key, which is set all the time
	GapSet                   // a set of a hot key
	gapKinds
)

func (k GapKind) String() string { return [...]string{"get", "hot get", "set"}[k] }

const (
	gapCallers = 4                // of each kind at each node, each with one request under way
	gapHot     = 4                // keys that are set
	gapIdle    = 100              // keys that are not
	gapPace    = time.Millisecond // the pause between two requests of a caller
	gapTimeout = 10 * time.Second
)

// gapWatch asks all members of a Lab for the same few keys, and measures the longest time that
// passed between two answers. It is safe for concurrent use.
type gapWatch struct {
	clients []*client.Client
	stop    context.CancelFunc
	callers sync.WaitGroup

	mu      sync.Mutex
	gaps    map[[2]int]*gapState
	starved time.Duration // the longest time for which this program did not run
}

type gapState struct {
	Gap
	last time.Time
}

// watchGaps begins to ask the members. stopAll ends that.
func (l *Lab) watchGaps(ctx context.Context) (*gapWatch, error) {
	w := &gapWatch{gaps: map[[2]int]*gapState{}}
	for i := range l.members {
		// Connections of its own, so that a fault of the node shows only here.
		c, err := client.New(client.Config{Endpoints: []string{l.http[i]}, Timeout: gapTimeout, DialTimeout: controlTimeout})
		if err != nil {
			return nil, err
		}
		w.clients = append(w.clients, c)
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.reset()
	w.callers.Go(func() { w.tick(ctx) })
	for node := range w.clients {
		for kind := range gapKinds {
			for caller := range gapCallers {
				w.callers.Go(func() { w.call(ctx, node, kind, uint64(caller)) })
			}
		}
	}
	return w, nil
}

func gapIdleKey(i int) string { return "idle-" + strconv.Itoa(i) }

// fill sets the keys that are not set otherwise. A clear removes them.
func (w *gapWatch) fill(ctx context.Context, node int) error {
	for i := range gapIdle {
		if _, err := w.clients[node].Set(ctx, gapIdleKey(i), "v"); err != nil {
			return err
		}
	}
	return nil
}

// call asks a node for one thing after another until ctx ends.
func (w *gapWatch) call(ctx context.Context, node int, kind GapKind, caller uint64) {
	random := rand.New(rand.NewPCG(uint64(node)<<8|uint64(kind), caller))
	c := w.clients[node]
	for sleep.For(ctx, gapPace) {
		hot := "hot-" + strconv.Itoa(random.IntN(gapHot))
		var err error
		switch kind {
		case GapGet:
			_, err = c.Get(ctx, gapIdleKey(random.IntN(gapIdle)))
		case GapHotGet:
			_, err = c.Get(ctx, hot)
		case GapSet:
			_, err = c.Set(ctx, hot, strconv.FormatUint(random.Uint64(), 36))
		}
		if ctx.Err() != nil {
			return
		}
		w.answered(node, kind, err)
	}
}

// tick notes for how long this program did not run.
func (w *gapWatch) tick(ctx context.Context) {
	for last := time.Now(); sleep.For(ctx, gapPace); last = time.Now() {
		late := time.Since(last) - gapPace
		w.mu.Lock()
		w.starved = max(w.starved, late)
		w.mu.Unlock()
	}
}

func (w *gapWatch) answered(node int, kind GapKind, err error) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.gaps[[2]int{node, int(kind)}]
	if err == nil || errors.Is(err, client.ErrMissing) {
		g.Answers++
		g.Longest, g.last = max(g.Longest, now.Sub(g.last)), now
		return
	}
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case !ok || e.Status == 0:
		g.Lost++
	case kind == GapSet && e.Outcome != kv.None:
		g.Unknown++
	default:
		g.Refused++
	}
}

// reset forgets what was measured, and returns it. The time since the last answer of each kind
// counts in what is returned, and not afterwards.
func (w *gapWatch) reset() (before []Gap, starved time.Duration) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for node := range w.clients {
		for kind := range gapKinds {
			at := [2]int{node, int(kind)}
			if g := w.gaps[at]; g != nil {
				g.Longest = max(g.Longest, now.Sub(g.last))
				before = append(before, g.Gap)
			}
			w.gaps[at] = &gapState{Gap: Gap{Node: node, Kind: kind}, last: now}
		}
	}
	starved, w.starved = w.starved, 0
	return before, starved
}

// stopAll ends the requests and waits for that.
func (w *gapWatch) stopAll() {
	w.stop()
	w.callers.Wait()
	for _, c := range w.clients {
		c.Close()
	}
}
