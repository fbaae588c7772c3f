package mongotest

import (
	"context"
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

func dropped(err error) bool {
	return err != nil && strings.Contains(err.Error(), "InternalError") && strings.Contains(err.Error(), "no such table")
}
