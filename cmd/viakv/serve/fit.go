package serve

import "go.uber.org/zap"

// cgroup is where Linux shows a container its limits.
const cgroup = "/sys/fs/cgroup"

// Fit fits the process into the limits of its container and system: memory, open files and threads.
// It lowers its own limits where it can, and returns an error where the node could not work.
func (c *Config) Fit(log *zap.Logger) error {
	if err := fitMemory(log, containerMemory(cgroup), c.maxMemory); err != nil {
		return err
	}
	if err := fitDescriptors(log, openFiles(), c); err != nil {
		return err
	}
	reserveThreads(fitThreads(cgroup))
	return nil
}
