package baseline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Ready is what a node prints when it serves, followed by its address.
const Ready = "listening on "

// Command is how to start one node: the path of the running program, and the arguments that make it
// call Serve and print Ready.
type Command struct {
	Path string
	Args []string
}

// Cluster is a number of nodes that know nothing of each other.
type Cluster struct {
	Endpoints []string
	nodes     []*exec.Cmd
	inputs    []io.Closer
}

const startTimeout = 10 * time.Second

// Start starts n nodes. Each node ends when its standard input ends. So it does not outlive this
// process, however this process ends.
func Start(ctx context.Context, c Command, n int) (*Cluster, error) {
	cluster := new(Cluster)
	for range n {
		address, err := cluster.add(ctx, c)
		if err != nil {
			cluster.Close()
			return nil, fmt.Errorf("starting the baseline server %s: %w", c.Path, err)
		}
		cluster.Endpoints = append(cluster.Endpoints, "http://"+address)
	}
	return cluster, nil
}

func (c *Cluster) add(ctx context.Context, command Command) (address string, err error) {
	node := exec.Command(command.Path, command.Args...)
	input, err := node.StdinPipe()
	if err != nil {
		return "", err
	}
	output, err := node.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := node.Start(); err != nil {
		return "", err
	}
	c.nodes, c.inputs = append(c.nodes, node), append(c.inputs, input)
	first := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(output).ReadString('\n')
		first <- line
	}()
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case line := <-first:
		address, ready := strings.CutPrefix(strings.TrimSpace(line), Ready)
		if !ready {
			return "", fmt.Errorf("it said %q", line)
		}
		return address, nil
	case <-timeout.C:
		return "", errors.New("it did not say that it listens")
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Close ends all nodes and waits for them.
func (c *Cluster) Close() {
	for i, node := range c.nodes {
		_ = c.inputs[i].Close()
		_ = node.Process.Kill()
		_ = node.Wait()
	}
	c.nodes, c.inputs = nil, nil
}
