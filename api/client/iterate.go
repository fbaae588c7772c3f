package client

import (
	"context"
	"iter"
)

// Pair is a key and its value.
type Pair struct{ Key, Value string }

// All yields every key with its value. A scan that fails yields its error last, with an empty pair.
// A loop that ends without an error has seen everything (F3).
func (c *Client) All(ctx context.Context, o ScanOptions) iter.Seq2[Pair, error] {
	return walk(ctx, c, ScanAll, o, func(s *Scanner) Pair { return Pair{string(s.Key()), string(s.Value())} })
}

// Keys yields every key, as All does.
func (c *Client) Keys(ctx context.Context, o ScanOptions) iter.Seq2[string, error] {
	return walk(ctx, c, ScanKeys, o, func(s *Scanner) string { return string(s.Key()) })
}

// Values yields every key's value, as All does.
func (c *Client) Values(ctx context.Context, o ScanOptions) iter.Seq2[string, error] {
	return walk(ctx, c, ScanValues, o, func(s *Scanner) string { return string(s.Value()) })
}

func walk[T any](ctx context.Context, c *Client, kind Kind, o ScanOptions, current func(*Scanner) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		s := c.Scan(ctx, kind, o)
		defer s.Close()
		for s.Next() {
			if !yield(current(s), nil) {
				return
			}
		}
		if err := s.Err(); err != nil {
			var none T
			yield(none, err)
		}
	}
}
