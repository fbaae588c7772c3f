package report

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Environment is what the figures depend on beside the target.
type Environment struct {
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	CPU    string `json:"cpu,omitempty"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory,omitempty"`
	Go     string `json:"go"`
	Commit string `json:"commit,omitempty"` // of the bench binary
	Target string `json:"target,omitempty"` // what the target says it is
}

// thisEnvironment describes this machine and this binary.
func thisEnvironment() Environment {
	e := Environment{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: field("/proc/cpuinfo", "model name"), Memory: field("/proc/meminfo", "MemTotal")}
	if info, ok := debug.ReadBuildInfo(); ok {
		dirty := false
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				e.Commit = s.Value[:min(12, len(s.Value))]
			case "vcs.modified":
				dirty = s.Value == "true"
			}
		}
		if dirty && e.Commit != "" {
			e.Commit += "+"
		}
	}
	return e
}

// field returns the value of a line "name : value" of a Linux file, or "" without it.
func field(file, name string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// AvailableMemory returns how much memory programs can still take, in bytes. It is not known
// outside Linux.
func AvailableMemory() (bytes uint64, known bool) {
	kib, err := strconv.ParseUint(strings.TrimSuffix(field("/proc/meminfo", "MemAvailable"), " kB"), 10, 64)
	return kib << 10, err == nil
}
