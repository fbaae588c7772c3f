package chaos

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"viakv/api"
	"viakv/api/apitest"
	"viakv/api/health"
	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/quorum/version"
)

// fakeNode in the environment makes the test's own binary a node: the real API over a store of its
// own. The node always claims to be a member of a settled cluster. One such node is a correct
// cluster of one; three of them are a cluster that replicates nothing.
const fakeNode = "VIAKV_FAKE_NODE"

// fakeStale makes the first node answer one get in so many with what was overwritten.
const fakeStale = "VIAKV_FAKE_STALE"

// staleStore answers some gets with a value that was overwritten some sets before.
type staleStore struct {
	*kvtest.Reference
	every int64

	gets atomic.Int64
	mu   sync.Mutex
	sets map[string][]string // the last values of each key, the oldest first
}

// staleBy is how many sets behind a stale answer is. The value before the present one may have been
// written at the same time as that, and then the answer is wrong, but not known to be old. The
// clients have one request under way each, and are fewer.
const staleBy = 10

func (s *staleStore) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	s.mu.Lock()
	last := append(s.sets[string(key)], string(value))
	s.sets[string(key)] = last[max(0, len(last)-1-staleBy):]
	s.mu.Unlock()
	return s.Reference.Set(ctx, key, value, o)
}

func (s *staleStore) SetMany(ctx context.Context, writes []kv.Write, o kv.Options) {
	for i := range writes {
		w := &writes[i]
		w.Version, w.Err = s.Set(ctx, w.Key, w.Value, o)
	}
}

func (s *staleStore) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	got, tag, err := s.Reference.Get(ctx, dst, key, o)
	if err != nil || s.gets.Add(1)%s.every != 0 {
		return got, tag, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.sets[string(key)]; len(last) > staleBy {
		return append(dst, last[0]...), tag, nil
	}
	return got, tag, nil
}

func (s *staleStore) GetMany(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
	for i := range reads {
		r := &reads[i]
		r.Value, r.Version, r.Err = s.Get(ctx, nil, r.Key, o)
	}
	return dst
}

func TestMain(m *testing.M) {
	if os.Getenv(fakeNode) == "" {
		apitest.VerifyNoLeaks(m)
	}
	if err := serveFake(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveFake(args []string) error {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	name, http, seeds := f.String("name", "", ""), f.String("http", "", ""), f.String("seeds", "", "")
	for _, ignored := range []string{"peer", "drain", "log-format", "log-level"} {
		f.String(ignored, "", "")
	}
	f.Func("peer-via", "", func(string) error { return nil })
	if err := f.Parse(args); err != nil {
		return err
	}
	l, err := net.Listen("tcp", *http)
	if err != nil {
		return err
	}
	var store kv.Store = &kvtest.Reference{}
	if every, err := strconv.ParseInt(os.Getenv(fakeStale), 10, 64); err == nil {
		store = &staleStore{Reference: &kvtest.Reference{}, every: every, sets: map[string][]string{}}
	}
	s, err := api.New(api.Config{Name: *name, Store: store, Cluster: fakeCluster{*name, len(strings.Split(*seeds, ","))}})
	if err != nil {
		return err
	}
	return s.Serve(l)
}

type fakeCluster struct {
	name string
	n    int
}

func (c fakeCluster) Join(context.Context, string) error { return nil }
func (c fakeCluster) Leave(context.Context, string, bool) (kv.Left, error) {
	return kv.Left{}, nil
}

func (c fakeCluster) SetReads(context.Context, kv.Reads) (version.Epoch, error) { return 0, nil }

func (c fakeCluster) Events() *health.Log { return new(health.Log) }

func (c fakeCluster) Status() kv.Status {
	s := kv.Status{Mode: "mesh", Self: c.name, State: "active", N: c.n, Digest: "equal"}
	for i := range c.n {
		s.Members = append(s.Members, kv.Member{Name: nodeName(i), State: "active"})
	}
	return s
}
