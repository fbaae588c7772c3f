package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

// heapShare of a container's memory is the most that the Go heap should grow to. Keys and values lie outside of it.
const heapShare = 0.25

// limitHeap tells the collector about a container's memory limit, unless GOMEMLIMIT does.
func limitHeap(log *zap.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	b, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return // no cgroup v2: no limit to know of
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || limit <= 0 {
		return // "max"
	}
	heap := int64(heapShare * float64(limit))
	debug.SetMemoryLimit(heap)
	log.Info("limited the heap to a share of the container's memory", zap.Int64("container bytes", limit), zap.Int64("heap bytes", heap))
}
