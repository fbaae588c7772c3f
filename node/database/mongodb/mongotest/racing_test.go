package mongotest

import (
	"context"
	"slices"
	"strings"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// racing is a store on FerretDB. FerretDB answers InternalError ("no such table") to a request that
// meets a drop, where MongoDB lets the request wait for the lock. The store rightly calls the
// outcome of such a write unknown. These tests know better, and send the request again.
type racing struct{ kv.Store }

func (r racing) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	for {
		tag, err := r.Store.Set(ctx, key, value, o)
		if !dropped(err) {
			return tag, err
		}
	}
}

// fewUpdates is how many updates a command for FerretDB may carry. FerretDB keeps a connection to
// SQLite for each update until its command ends. It has a hundred for all commands together, and
// waits without end for one more.
const fewUpdates = 16

func (r racing) SetMany(ctx context.Context, writes []kv.Write, o kv.Options) {
	for part := range slices.Chunk(writes, fewUpdates) {
		r.Store.SetMany(ctx, part, o)
		for i := range part {
			if w := &part[i]; dropped(w.Err) {
				w.Version, w.Err = r.Set(ctx, w.Key, w.Value, o)
			}
		}
	}
}

func (r racing) Has(ctx context.Context, key []byte, o kv.Options) (version.Tag, error) {
	for {
		tag, err := r.Store.Has(ctx, key, o)
		if !dropped(err) {
			return tag, err
		}
	}
}

func (r racing) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	for {
		v, tag, err := r.Store.Get(ctx, dst, key, o)
		if !dropped(err) {
			return v, tag, err
		}
	}
}

func (r racing) GetMany(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
	for {
		dst = r.Store.GetMany(ctx, dst, reads, o)
		if !slices.ContainsFunc(reads, func(get kv.Read) bool { return dropped(get.Err) }) {
			return dst
		}
	}
}

func dropped(err error) bool {
	return err != nil && strings.Contains(err.Error(), "InternalError") && strings.Contains(err.Error(), "no such table")
}
