package serve

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func threads(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// awake counts the threads that do not sleep.
func awake(t *testing.T) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		stat, err := os.ReadFile(f) // the thread may have ended
		if _, state, found := strings.Cut(string(stat), ") "); err == nil && found && !strings.HasPrefix(state, "S") {
			n++
		}
	}
	return n
}

// TestThreadsAreReserved checks that calls that block in the system use the threads that are there
// already.
func TestThreadsAreReserved(t *testing.T) {
	reserveThreads(threadReserve)
	// On a busy machine the threads may be about to sleep. The runtime uses none again before that.
	for end := time.Now().Add(10 * time.Second); awake(t) > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the threads do not become idle")
		}
	}
	before := threads(t)
	if before < threadReserve {
		t.Fatalf("%d threads", before)
	}
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	const blocked = threadReserve / 2
	ended := make(chan struct{}, blocked)
	for range blocked {
		go func() {
			_, _ = syscall.Read(pipe[0], make([]byte, 1))
			ended <- struct{}{}
		}()
	}
	time.Sleep(100 * time.Millisecond)
	if got := threads(t); got != before {
		t.Errorf("%d threads became %d", before, got)
	}
	_ = syscall.Close(pipe[1])
	for range blocked {
		<-ended
	}
	_ = syscall.Close(pipe[0])
}

func TestAContainersThreads(t *testing.T) {
	for text, want := range map[string]int{"": threadReserve, "max\n": threadReserve, "4096\n": threadReserve, "40\n": 10, "0\n": 0} {
		root := t.TempDir()
		if text != "" {
			if err := os.WriteFile(filepath.Join(root, "pids.max"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := fitThreads(root); got != want {
			t.Errorf("%q: %d threads, want %d", text, got, want)
		}
	}
}
