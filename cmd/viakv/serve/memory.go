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

// heapShare is the largest share of a container's memory that the Go heap should take, and
// dataShare the largest share for --max-memory. Keys and values lie outside the heap.
const (
	heapShare = 0.25
	dataShare = 0.75
)

// limitsAt are the files in which Linux tells a container its memory limit: cgroup v2, v1.
var limitsAt = []string{"memory.max", "memory/memory.limit_in_bytes"}

// unlimited is slightly less than what cgroup v1 says for no limit.
const unlimited = 1 << 60

// containerMemory reads the limit from a cgroup file system, in bytes. Zero: no limit, or not
// known.
func containerMemory(cgroup string) int64 {
	for _, name := range limitsAt {
		b, err := os.ReadFile(filepath.Join(cgroup, filepath.FromSlash(name)))
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		// Where there is no limit, cgroup v2 says "max".
		if err != nil || limit <= 0 || limit >= unlimited {
			return 0
		}
		return limit
	}
	return 0
}

// fitMemory fits the node into its container. It limits the Go heap, unless GOMEMLIMIT is set. It
// refuses a limit for the store at which the kernel would kill the node before the store refuses a
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
			zap.Int64("container bytes", limit), zap.Int64("max-memory", int64(store)), zap.Int64("recommended", int64(advice)))
	case store == 0:
		log.Warn("the container's memory is limited and --max-memory is not; the kernel will kill the node before it refuses a value",
			zap.Int64("container bytes", limit), zap.Int64("recommended", int64(advice)))
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	heap := int64(heapShare * float64(limit))
	debug.SetMemoryLimit(heap)
	log.Info("limited the heap to a share of the container's memory", zap.Int64("container bytes", limit), zap.Int64("heap bytes", heap))
	return nil
}
