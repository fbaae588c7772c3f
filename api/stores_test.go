package api

import (
	"context"
	"sync/atomic"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/quorum/version"
)

// recorder counts the calls of a store and can make them fail or wait.
type recorder struct {
	kvtest.Reference
	calls atomic.Int64
	hook  func(ctx context.Context, call string) error // nil error: the call goes on
}

func (s *recorder) call(ctx context.Context, name string) error {
	s.calls.Add(1)
	if s.hook == nil {
		return nil
	}
	return s.hook(ctx, name)
}

func (s *recorder) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	if err := s.call(ctx, "get"); err != nil {
		return nil, version.Tag{}, err
	}
	return s.Reference.Get(ctx, dst, key, o)
}

func (s *recorder) GetMany(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
	if err := s.call(ctx, "getMany"); err != nil {
		for i := range reads {
			reads[i].Value, reads[i].Version, reads[i].Err = nil, version.Tag{}, err
		}
		return dst
	}
	return s.Reference.GetMany(ctx, dst, reads, o)
}

func (s *recorder) Has(ctx context.Context, key []byte, o kv.Options) (version.Tag, error) {
	if err := s.call(ctx, "has"); err != nil {
		return version.Tag{}, err
	}
	return s.Reference.Has(ctx, key, o)
}

func (s *recorder) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	if err := s.call(ctx, "set"); err != nil {
		return version.Tag{}, err
	}
	return s.Reference.Set(ctx, key, value, o)
}

func (s *recorder) SetMany(ctx context.Context, writes []kv.Write, o kv.Options) {
	if err := s.call(ctx, "setMany"); err != nil {
		for i := range writes {
			writes[i].Version, writes[i].Err = version.Tag{}, err
		}
		return
	}
	s.Reference.SetMany(ctx, writes, o)
}

func (s *recorder) Remove(ctx context.Context, key []byte, o kv.Options) error {
	if err := s.call(ctx, "remove"); err != nil {
		return err
	}
	return s.Reference.Remove(ctx, key, o)
}

func (s *recorder) Clear(ctx context.Context, o kv.Options) error {
	if err := s.call(ctx, "clear"); err != nil {
		return err
	}
	return s.Reference.Clear(ctx, o)
}

func (s *recorder) Ready(ctx context.Context) error {
	if err := s.call(ctx, "ready"); err != nil {
		return err
	}
	return s.Reference.Ready(ctx)
}

func (s *recorder) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	if err := s.call(ctx, "scan"); err != nil {
		return nil, err
	}
	inner, err := s.Reference.Scan(ctx, o)
	if err != nil {
		return nil, err
	}
	return &recordingScanner{inner, s}, nil
}

type recordingScanner struct {
	kv.Scanner
	store *recorder
}

func (s *recordingScanner) Next(ctx context.Context, b *kv.Batch) (bool, error) {
	if err := s.store.call(ctx, "next"); err != nil {
		return false, err
	}
	return s.Scanner.Next(ctx, b)
}

// optionsStore keeps the options of the last call. It holds no keys.
type optionsStore struct {
	kv.Store
	last kv.Options
}

func (s *optionsStore) Get(_ context.Context, dst, _ []byte, o kv.Options) ([]byte, version.Tag, error) {
	s.last = o
	return dst, version.Tag{}, kv.ErrMissing
}

func (s *optionsStore) Clear(_ context.Context, o kv.Options) error {
	s.last = o
	return kv.ErrMissing
}
