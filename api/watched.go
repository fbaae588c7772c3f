package api

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// watched is a value made of files that may change. Each use of the value looks at the files, at
// most once in watchInterval, so no goroutine is needed.
//
// When the files cannot be loaded, the last good value stays in force, the log has the reason, and
// loading is tried again. The reason may lie outside of the files: descriptors that ran out, or
// permissions that follow a moment later.
type watched[T any] struct {
	name  string // for the log
	paths []string
	load  func() (*T, error)
	log   *zap.Logger
	now   func() time.Time

	value atomic.Pointer[T]
	next  atomic.Int64 // when to look again, in nanoseconds since 1970

	mu     sync.Mutex // held while looking
	stamps []fileStamp
	failed string // why the last load failed; empty: it did not
}

// watchInterval is the least time between two looks at the files.
const watchInterval = time.Second

// fileStamp changes when a file does. Kubernetes changes the target of a link instead; os.Stat
// follows the link.
type fileStamp struct {
	info os.FileInfo
	err  bool
}

// watch returns a watched value and loads it for the first time.
func watch[T any](name string, log *zap.Logger, load func() (*T, error), paths ...string) (*watched[T], error) {
	w := &watched[T]{name: name, paths: paths, load: load, log: log, now: time.Now}
	w.stamps = w.look()
	v, err := load()
	if err != nil {
		return nil, fmt.Errorf("api: %s: %w", name, err)
	}
	w.value.Store(v)
	return w, nil
}

// get returns the value. It looks at the files first, unless it has done so within watchInterval.
func (w *watched[T]) get() *T {
	now := w.now().UnixNano()
	// A wait longer than the interval means that the clock was set back.
	if wait := w.next.Load() - now; (wait <= 0 || wait > int64(watchInterval)) && w.mu.TryLock() {
		w.next.Store(now + int64(watchInterval))
		if stamps := w.look(); w.failed != "" || !same(stamps, w.stamps) {
			w.loadLocked(stamps)
		}
		w.mu.Unlock()
	}
	return w.value.Load()
}

// reload loads the files now, changed or not.
func (w *watched[T]) reload() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = "" // so that the same reason is logged again
	w.loadLocked(w.look())
}

func (w *watched[T]) loadLocked(stamps []fileStamp) {
	w.stamps = stamps
	v, err := w.load()
	if err != nil {
		if err.Error() != w.failed {
			w.failed = err.Error()
			w.log.Error("a changed file was not taken over; the former content stays in force", zap.String("file", w.name), zap.Error(err))
		}
		return
	}
	w.failed = ""
	w.value.Store(v)
	w.log.Info("a changed file was taken over", zap.String("file", w.name))
}

func (w *watched[T]) look() []fileStamp {
	stamps := make([]fileStamp, len(w.paths))
	for i, p := range w.paths {
		info, err := os.Stat(p)
		stamps[i] = fileStamp{info, err != nil}
	}
	return stamps
}

func same(a, b []fileStamp) bool {
	for i := range a {
		if a[i].err != b[i].err {
			return false
		}
		if a[i].err {
			continue
		}
		if !a[i].info.ModTime().Equal(b[i].info.ModTime()) || a[i].info.Size() != b[i].info.Size() || !os.SameFile(a[i].info, b[i].info) {
			return false
		}
	}
	return true
}
