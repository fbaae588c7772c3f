package cli

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"viakv/api/client"
)

// devNodes are the processes of a local cluster.
type devNodes struct {
	cfg       *devConfig
	self      string // this executable, which runs the nodes as well
	screen    *screen
	processes []*exec.Cmd
	ended     chan int // numbers of nodes that have ended
	running   sync.WaitGroup
}

// stopTime is how long the nodes may take to drain before they are killed.
const stopTime = 15 * time.Second

// start starts all nodes. After an error, stop ends the nodes that were started.
func (n *devNodes) start(ctx context.Context) error {
	for i := range n.cfg.nodes {
		// Not ctx: stop ends the process, and lets it drain.
		p := exec.CommandContext(context.WithoutCancel(ctx), n.self, n.cfg.args(i)...)
		p.SysProcAttr = childAttributes()
		log := &prefixer{screen: n.screen, prefix: n.cfg.name(i)}
		p.Stdout, p.Stderr = log, log
		if err := p.Start(); err != nil {
			return fmt.Errorf("cannot start %s: %w", n.cfg.name(i), err)
		}
		n.processes = append(n.processes, p)
		n.running.Go(func() {
			_ = p.Wait() // ProcessState says more
			log.flush()
			n.ended <- i
		})
	}
	return nil
}

func (n *devNodes) pids() (pids []int) {
	for _, p := range n.processes {
		pids = append(pids, p.Process.Pid)
	}
	return pids
}

// awaitReady waits until every node is ready. Until the cluster has formed, the nodes wait for each
// other, so a node that ends is an error.
func (n *devNodes) awaitReady(ctx context.Context) error {
	for i := 0; i < n.cfg.nodes; {
		if serves(ctx, n.cfg.http(i)) {
			i++
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case i := <-n.ended:
			return fmt.Errorf("%s has ended before the cluster was formed (%s)", n.cfg.name(i), n.processes[i].ProcessState)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// serves reports whether a node is ready. It asks /cluster first, which always answers. A node logs
// each probe of /readyz that it refuses, and the first lines on the screen would be such messages.
func serves(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := client.New(client.Config{Endpoints: []string{address}})
	if err != nil {
		return false
	}
	defer c.Close()
	s, err := c.Cluster(ctx)
	return err == nil && s.State == "active" && c.Ready(ctx) == nil
}

// stop lets the nodes drain, and returns when all have ended.
func (n *devNodes) stop() {
	for _, p := range n.processes {
		_ = p.Process.Signal(syscall.SIGTERM) // an error: it has ended already
	}
	patience := time.AfterFunc(stopTime, func() {
		for _, p := range n.processes {
			_ = p.Process.Kill()
		}
	})
	defer patience.Stop()
	n.running.Wait()
}
