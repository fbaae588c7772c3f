package serve

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// threadReserve is how many threads a node has from its start. The runtime needs a thread for each
// call into the system that blocks, on files and in the log for example. It ends the process when
// it gets no new thread, and other processes of the same user or container can cause that.
const threadReserve = 24

// fitThreads returns the reserve that a container's limit of threads has room for.
func fitThreads(cgroup string) int {
	b, err := os.ReadFile(filepath.Join(cgroup, "pids.max"))
	if err != nil {
		return threadReserve
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil { // "max"
		return threadReserve
	}
	return min(threadReserve, limit/4)
}

// reserveThreads starts so many threads. They are idle afterwards, and the runtime uses an idle
// thread before it starts another one.
func reserveThreads(n int) {
	var started, ended sync.WaitGroup
	release := make(chan struct{})
	started.Add(n)
	for range n {
		ended.Go(func() {
			runtime.LockOSThread() // so that the next goroutine needs another thread
			defer runtime.UnlockOSThread()
			started.Done()
			<-release
		})
	}
	started.Wait()
	close(release)
	ended.Wait()
}
