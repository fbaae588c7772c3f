package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"viakv/cmd/cliutil"
)

// devConfig describes a local cluster.
type devConfig struct {
	nodes              int
	httpPort, peerPort int
	logLevel           string
}

// maxDevNodes keeps the names at one letter. More nodes would be too many for a laptop.
const maxDevNodes = 9

func devCommand() *cobra.Command {
	var c devConfig
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a local cluster: a process per node, stopped by Ctrl-C",
		Long: "Starts nodes on this machine, each a process of its own, waits until they have formed a cluster, and shows what to try.\n" +
			"A node that dies is reported, and the others go on: kill one and see. Ctrl-C stops them all.",
		Args: cliutil.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.check(); err != nil {
				return err
			}
			outliveSignals() // the nodes end with this process
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return dev(ctx, &c, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.nodes, "nodes", 3, "how many nodes")
	f.IntVar(&c.httpPort, "http-port", 8081, "HTTP port of the first node; the others' follow")
	f.IntVar(&c.peerPort, "peer-port", 9081, "peer port of the first node; the others' follow")
	f.StringVar(&c.logLevel, "log-level", "warn", "what the nodes log: debug, info, warn or error")
	return cmd
}

func (c *devConfig) check() error {
	if c.nodes < 1 || c.nodes > maxDevNodes {
		return cliutil.Usagef("--nodes %d: want 1 to %d", c.nodes, maxDevNodes)
	}
	low, high := min(c.httpPort, c.peerPort), max(c.httpPort, c.peerPort)
	if low < 1 || high+c.nodes-1 > 65535 || high-low < c.nodes {
		return cliutil.Usagef("--http-port %d and --peer-port %d: want room for %d ports above each, up to 65535", c.httpPort, c.peerPort, c.nodes)
	}
	return nil
}

func (c *devConfig) name(i int) string { return "node-" + string(rune('a'+i)) }
func (c *devConfig) http(i int) string { return local(c.httpPort + i) }
func (c *devConfig) peer(i int) string { return local(c.peerPort + i) }

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// args returns the command line of one node.
func (c *devConfig) args(i int) []string {
	args := []string{"serve", "--name", c.name(i), "--http", c.http(i), "--peer", c.peer(i)}
	if c.nodes > 1 {
		var seeds []string
		for k := range c.nodes {
			seeds = append(seeds, c.peer(k))
		}
		args = append(args, "--seeds", strings.Join(seeds, ","))
	}
	return append(args, "--drain", "100ms", "--log-format", "console", "--log-level", c.logLevel)
}

// dev runs the nodes until ctx ends or all nodes have ended.
func dev(ctx context.Context, c *devConfig, out io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := c.findPorts(); err != nil {
		return err
	}
	began := time.Now()
	nodes := &devNodes{cfg: c, self: self, screen: &screen{out: out}, ended: make(chan int, c.nodes)}
	defer nodes.stop()
	if err := nodes.start(ctx); err != nil {
		return err
	}
	if err := nodes.awaitReady(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	nodes.screen.print("%s", c.welcome(nodes.pids(), time.Since(began)))
	for left := c.nodes; left > 0; left-- {
		select {
		case <-ctx.Done():
			nodes.screen.print("\nstopping\n")
			return nil
		case i := <-nodes.ended:
			nodes.screen.print("\n%s has ended (%s); the others go on. Bring it back from another terminal with:\n  %s %s\n\n",
				c.name(i), nodes.processes[i].ProcessState, self, strings.Join(c.args(i), " "))
		}
	}
	return errors.New("all nodes have ended")
}

// findPorts returns an error for a port that is in use. A node would find it out, too, but only
// after other nodes began to wait for it.
func (c *devConfig) findPorts() error {
	for i := range c.nodes {
		for _, p := range []struct{ flag, address string }{{"http-port", c.http(i)}, {"peer-port", c.peer(i)}} {
			l, err := net.Listen("tcp", p.address)
			if err != nil {
				return fmt.Errorf("%w; stop what uses it, or choose others with --%s", err, p.flag)
			}
			if err := l.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// welcome returns the first screen.
func (c *devConfig) welcome(pids []int, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nviakv is ready: ")
	if c.nodes == 1 {
		fmt.Fprintf(&b, "one node, after %v\n\n", took.Round(time.Millisecond))
	} else {
		fmt.Fprintf(&b, "a cluster of %d nodes, formed in %v\n\n", c.nodes, took.Round(time.Millisecond))
	}
	for i, pid := range pids {
		fmt.Fprintf(&b, "  %s   http://%s   process %d\n", c.name(i), c.http(i), pid)
	}
	fmt.Fprintf(&b, "\n  console  http://%s/console\n", c.http(0))
	last := c.nodes - 1
	fmt.Fprintf(&b, "\nTry, in another terminal:\n\n")
	fmt.Fprintf(&b, "  curl 'http://%s/set?k=color&v=green'\n", c.http(0))
	fmt.Fprintf(&b, "  curl 'http://%s/get?k=color'\n", c.http(last))
	fmt.Fprintf(&b, "  curl 'http://%s/getAll'\n", c.http(0))
	fmt.Fprintf(&b, "  curl 'http://%s/cluster'\n", c.http(0))
	if c.nodes > 2 {
		fmt.Fprintf(&b, "  kill -9 %-5d   # then set and get at the others: nothing is lost\n", pids[last])
	}
	fmt.Fprintf(&b, "\nCtrl-C stops everything.\n\n")
	return b.String()
}
