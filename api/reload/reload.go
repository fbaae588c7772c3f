// Package reload keeps values that are made of files, such as tokens and certificates, and makes
// them anew when the files change.
package reload

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Value is made of files that may change. Each use of the value looks at the files, at most once in
// interval, so no goroutine is needed.
//
// When the files cannot be loaded, the last good value stays in force, the log has the reason, and
// loading is tried again. The reason may lie outside of the files: descriptors that ran out, or
// permissions that follow a moment later. A Value is safe for concurrent use.
type Value[T any] struct {
	name  string // for the log
	paths []string
	load  func() (*T, error)
	log   *zap.Logger

	value atomic.Pointer[T]
	next  atomic.Int64 // when to look again, in nanoseconds since 1970

	mu     sync.Mutex    // held while looking
	seen   []os.FileInfo // by path; nil: there was no such file
	failed string        // why the last load failed; empty: it did not
}

// interval is the least time between two looks at the files.
const interval = time.Second

// New returns a value and loads it for the first time.
func New[T any](name string, log *zap.Logger, load func() (*T, error), paths ...string) (*Value[T], error) {
	v := &Value[T]{name: name, paths: paths, load: load, log: log}
	v.seen = v.look()
	first, err := load()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	v.value.Store(first)
	return v, nil
}

// Get returns the value. It looks at the files first, unless it has done so within interval. While
// one caller looks, the others wait: none gets what the files held before.
func (v *Value[T]) Get() *T {
	if v.due() {
		v.mu.Lock()
		if v.due() {
			began := time.Now()
			if files := v.look(); v.failed != "" || !slices.EqualFunc(files, v.seen, same) {
				v.loadLocked(files)
			}
			v.next.Store(began.Add(interval).UnixNano())
		}
		v.mu.Unlock()
	}
	return v.value.Load()
}

// due reports whether it is time to look at the files. A wait longer than the interval means that
// the clock was set back.
func (v *Value[T]) due() bool {
	wait := v.next.Load() - time.Now().UnixNano()
	return wait <= 0 || wait > int64(interval)
}

// Reload loads the files now, changed or not.
func (v *Value[T]) Reload() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failed = "" // so that the same reason is logged again
	v.loadLocked(v.look())
}

func (v *Value[T]) loadLocked(files []os.FileInfo) {
	v.seen = files
	loaded, err := v.load()
	if err != nil {
		if err.Error() != v.failed {
			v.failed = err.Error()
			v.log.Error("a changed file was not taken over; the former content stays in force", zap.String("file", v.name), zap.Error(err))
		}
		return
	}
	v.failed = ""
	v.value.Store(loaded)
	v.log.Info("a changed file was taken over", zap.String("file", v.name))
}

func (v *Value[T]) look() []os.FileInfo {
	files := make([]os.FileInfo, len(v.paths))
	for i, p := range v.paths {
		if info, err := os.Stat(p); err == nil {
			files[i] = info
		}
	}
	return files
}

// same reports whether a file has not changed. Kubernetes changes the target of a link instead;
// os.Stat follows the link.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && os.SameFile(a, b)
}
