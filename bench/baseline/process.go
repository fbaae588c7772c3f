package baseline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"time"
)

// Ready is what a node prints when it serves, followed by its address.
const Ready = "listening on "

// ServeUntilClosed is the life of a node: it prints Ready, and serves until in ends, so that the
// node does not outlive the program that has started it, or until ctx does. It closes the listener.
func ServeUntilClosed(ctx context.Context, l net.Listener, in io.Reader, out io.Writer, serve func(net.Listener) error) error {
	fmt.Fprintf(out, "%s%s\n", Ready, l.Addr())
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(ended)
	}()
	served := make(chan error, 1)
	go func() { served <- serve(l) }()
	select {
	case <-ctx.Done():
	case <-ended:
	case err := <-served:
		return err
	}
	return errors.Join(l.Close(), <-served)
}

// Meet is what a node that is to know the others prints first, followed by the address at which the
// others reach it.
const Meet = "others at "

// Command is how to start one node: the path of a program, and the arguments that make it serve and
// print Ready.
type Command struct {
	Path string
	Args []string
	// Meets says that the nodes know each other. Each of them prints Meet, reads one line from its
	// standard input, and prints Ready after that. The line has the number of the node, from 1 on,
	// and the addresses of all of them, separated by spaces.
	Meets bool
}

// Cluster is a number of nodes.
type Cluster struct {
	Endpoints []string
	nodes     []*exec.Cmd
	inputs    []io.WriteCloser
	outputs   []*bufio.Reader
}

const startTimeout = 10 * time.Second

// Start starts n nodes. Each node ends when its standard input ends. So it does not outlive this
// process, however this process ends.
func Start(ctx context.Context, c Command, n int) (*Cluster, error) {
	cluster := new(Cluster)
	if err := cluster.start(ctx, c, n); err != nil {
		cluster.Close()
		return nil, fmt.Errorf("starting the server %s: %w", c.Path, err)
	}
	return cluster, nil
}

func (c *Cluster) start(ctx context.Context, command Command, n int) error {
	for range n {
		if err := c.add(command); err != nil {
			return err
		}
	}
	if command.Meets {
		addresses, err := c.said(ctx, Meet)
		if err != nil {
			return err
		}
		for i, input := range c.inputs {
			if _, err := fmt.Fprintln(input, i+1, strings.Join(addresses, " ")); err != nil {
				return err
			}
		}
	}
	addresses, err := c.said(ctx, Ready)
	for _, address := range addresses {
		c.Endpoints = append(c.Endpoints, "http://"+address)
	}
	return err
}

// add starts one more process.
func (c *Cluster) add(command Command) error {
	node := exec.Command(command.Path, command.Args...)
	input, err := node.StdinPipe()
	if err != nil {
		return err
	}
	output, err := node.StdoutPipe()
	if err != nil {
		return err
	}
	if err := node.Start(); err != nil {
		return err
	}
	c.nodes, c.inputs, c.outputs = append(c.nodes, node), append(c.inputs, input), append(c.outputs, bufio.NewReader(output))
	return nil
}

// said reads a line of each node, and returns what follows the mark that the line must begin with.
func (c *Cluster) said(ctx context.Context, mark string) (all []string, err error) {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	for _, output := range c.outputs {
		first := make(chan string, 1)
		go func() {
			line, _ := output.ReadString('\n')
			first <- line
		}()
		select {
		case line := <-first:
			address, ok := strings.CutPrefix(strings.TrimSpace(line), mark)
			if !ok {
				return nil, fmt.Errorf("it said %q", line)
			}
			all = append(all, address)
		case <-timeout.C:
			return nil, errors.New("it did not say that it listens")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return all, nil
}

// PIDs returns the process IDs of the nodes.
func (c *Cluster) PIDs() (pids []int) {
	for _, node := range c.nodes {
		pids = append(pids, node.Process.Pid)
	}
	return pids
}

// Close ends all nodes and waits for them.
func (c *Cluster) Close() {
	for i, node := range c.nodes {
		_ = c.inputs[i].Close()
		_ = node.Process.Kill()
		_ = node.Wait()
	}
	c.nodes, c.inputs, c.outputs = nil, nil, nil
}
