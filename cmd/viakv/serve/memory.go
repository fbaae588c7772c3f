package serve

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"viakv/cmd/cliutil"
)

// heapShare of a container's memory is the most that the Go heap should grow to, dataShare the most
// that --max-memory should be: keys and values lie outside of the heap.
const (
	heapShare = 0.25
	dataShare = 0.75
)

// limitsAt are where Linux tells a container its memory limit: cgroup v2, v1.
var limitsAt = []string{"memory.max", "memory/memory.limit_in_bytes"}

// unlimited is what cgroup v1 says for no limit, or a little less.
const unlimited = 1 << 60

// containerMemory reads the limit from a cgroup file system; zero: none, or none to know of.
func containerMemory(cgroup string) int64 {
	for _, name := range limitsAt {
		b, err := os.ReadFile(filepath.Join(cgroup, filepath.FromSlash(name)))
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err != nil || limit <= 0 || limit >= unlimited { // v2 says "max"
			return 0
		}
		return limit
	}
	return 0
}

// fitMemory fits the node into its container: it tells the collector how large the heap may grow,
// unless GOMEMLIMIT does, and refuses a store that the kernel would kill before the store refuses a
// value.
func fitMemory(log *zap.Logger, limit int64, store bytesValue) error {
	if limit == 0 {
		return nil
	}
	advice := bytesValue(dataShare * float64(limit))
	switch {
	case int64(store) > limit:
		return cliutil.Usagef("--max-memory %v does not fit into the container's %v: the kernel would kill the node before it refuses a value; set it to %v, or give the container more",
			&store, new(bytesValue(limit)), &advice)
	case store > advice:
		log.Warn("--max-memory leaves the program little of the container's memory; the kernel may kill the node before it refuses a value",
			zap.Int64("container bytes", limit), zap.Int64("max-memory", int64(store)), zap.Int64("better", int64(advice)))
	case store == 0:
		log.Warn("the container's memory is limited and --max-memory is not: the kernel will kill the node instead of a value being refused",
			zap.Int64("container bytes", limit), zap.Int64("better", int64(advice)))
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	heap := int64(heapShare * float64(limit))
	debug.SetMemoryLimit(heap)
	log.Info("limited the heap to a share of the container's memory", zap.Int64("container bytes", limit), zap.Int64("heap bytes", heap))
	return nil
}
