package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Calm is a cluster of processes without faults, for measurements.
type Calm struct{ *cluster }

// StartCalm founds a cluster. Close ends it.
func StartCalm(ctx context.Context, binary, logDir string, nodes int) (*Calm, error) {
	c, err := newCluster(binary, logDir, nodes, 10*time.Second, true)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx, foundedWithin); err != nil {
		c.close()
		return nil, errors.Join(err, joinLines(c.crashes()))
	}
	return &Calm{c}, nil
}

// Endpoints returns the base URLs of the nodes' HTTP APIs.
func (c *Calm) Endpoints() (all []string) {
	for _, address := range c.http[:c.members] {
		all = append(all, "http://"+address)
	}
	return all
}

// Memory returns the mean resident memory of the nodes' processes, in bytes. It is 0 where the
// system does not tell it.
func (c *Calm) Memory() float64 {
	sum := 0.0
	for _, p := range c.nodes[:c.members] {
		p.mu.Lock()
		running := p.running
		p.mu.Unlock()
		if running == nil {
			return 0
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", running.Process.Pid))
		if err != nil {
			return 0
		}
		sum += residentBytes(string(b))
	}
	return sum / float64(c.members)
}

// residentBytes returns VmRSS from the text of a Linux status file, in bytes, or 0 without it.
func residentBytes(status string) float64 {
	_, rest, found := strings.Cut(status, "VmRSS:")
	if !found {
		return 0
	}
	fields := strings.Fields(rest)
	kib, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return 0
	}
	return kib * 1024
}

// Close ends all nodes.
func (c *Calm) Close() { c.close() }
