package api

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// watched is a value made of files that may change. Who needs the value looks at the files, at most
// once in watchInterval, so that there is no goroutine to own. What cannot be loaded leaves the last
// good value in force, says so in the log, and is tried again: the reason may lie outside of the
// files, such as descriptors that ran out, or permissions that follow a moment later.
type watched[T any] struct {
	name  string // for the log
	paths []string
	load  func() (*T, error)
	log   *zap.Logger
	now   func() time.Time

	value atomic.Pointer[T]
	next  atomic.Int64 // nanoseconds since 1970 from when to look again

	mu     sync.Mutex // held while looking
	stamps []fileStamp
	failed string // why the last load failed; empty: it did not
}

const watchInterval = time.Second

// fileStamp changes when a file does; Kubernetes changes what a link points to.
type fileStamp struct {
	info os.FileInfo
	err  bool
}

// watch loads the value for the first time.
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

// get returns the value as of a second ago or later.
func (w *watched[T]) get() *T {
	now := w.now().UnixNano()
	// Longer than the interval is after the clock was set back.
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
	w.failed = "" // is said again
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
