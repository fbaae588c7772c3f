package quorum

import (
	"context"
	"errors"

	"viakv/api/kv"
)

// scan is a scanner that begins anew when a clear ends it before it has delivered anything: a scan that begins at one node right after a
// clear was answered at another must not fail for it. Once something was delivered, or where it resumes from a cursor, a clear is its end.
type scan struct {
	*scanner
	delivered bool
}

// Scan begins a scan, or resumes one.
func (s *Scans) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	x, err := s.begin(ctx, o)
	if err != nil {
		return nil, err
	}
	return &scan{scanner: x, delivered: o.Cursor != ""}, nil
}

// Next implements kv.Scanner.
func (s *scan) Next(ctx context.Context, b *kv.Batch) (bool, error) {
	for {
		ok, err := s.scanner.Next(ctx, b)
		if s.delivered || !errors.Is(err, kv.ErrCleared) {
			s.delivered = s.delivered || ok
			return ok, err
		}
		next, err := s.scans.begin(ctx, s.options)
		if err != nil {
			return false, err
		}
		s.Close()
		s.scanner = next
	}
}
