package reload

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// subject is a value under test: the text of one file.
type subject struct {
	*Value[string]
	t       *testing.T
	file    string
	trouble error  // makes loading fail
	before  func() // is called before the content is loaded; nil: nothing is
	logs    *observer.ObservedLogs
}

func begin(t *testing.T, content string) *subject {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	s := &subject{t: t, file: filepath.Join(t.TempDir(), "file"), logs: logs}
	s.put(content)
	load := func() (*string, error) {
		if s.before != nil {
			s.before()
		}
		b, err := os.ReadFile(s.file)
		text := string(b)
		return &text, errors.Join(s.trouble, err)
	}
	v, err := New("value", zap.New(core), load, s.file)
	if err != nil {
		t.Fatal(err)
	}
	s.Value = v
	return s
}

func (s *subject) put(content string) {
	s.t.Helper()
	if err := os.WriteFile(s.file, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *subject) want(content string) {
	s.t.Helper()
	if got := *s.Get(); got != content {
		s.t.Errorf("got %q, want %q", got, content)
	}
}

// After the clock is set back, the files are still looked at.
func TestFilesAreLookedAtWhenTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, "old")
		s.want("old")
		s.put("newer")
		s.next.Add(int64(24 * time.Hour)) // as if the clock had been set back by a day
		s.want("newer")
		s.put("newest of all")
		s.want("newer") // it does not look again at once
		time.Sleep(interval)
		s.want("newest of all")
	})
}

// A file that could not be read is read again although it has not changed: the reason may have been
// another. The log has each reason once.
func TestFilesThatCouldNotBeReadAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, "old")
		s.put("newer")
		s.trouble = errors.New("too many open files")
		for range 3 {
			s.want("old")
			time.Sleep(interval)
		}
		if n := s.logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 1 {
			t.Errorf("one reason is %d times in the log", n)
		}
		s.trouble = nil
		s.want("newer")
	})
}

// When the files have changed and it is time to look, nobody gets the former content, not even
// those that come while another caller loads.
func TestAllThatComeAtOnceGetTheNewContent(t *testing.T) {
	s := begin(t, "old")
	s.put("newer")
	entered, release := make(chan struct{}), make(chan struct{})
	s.before = func() {
		close(entered)
		<-release
	}
	var all sync.WaitGroup
	all.Go(func() { s.want("newer") })
	<-entered
	for range 7 {
		all.Go(func() { s.want("newer") })
	}
	time.Sleep(10 * time.Millisecond) // so that the others have come
	close(release)
	all.Wait()
}

// A file that is gone is missed, and found when it is there again.
func TestAFileThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, "old")
		if err := os.Remove(s.file); err != nil {
			t.Fatal(err)
		}
		s.want("old")
		if n := s.logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 1 {
			t.Errorf("%d lines in the log, want 1", n)
		}
		s.put("another")
		s.want("old")
		time.Sleep(interval)
		s.want("another")
	})
}
