package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// devConfig is a local cluster.
type devConfig struct {
	nodes              int
	httpPort, peerPort int
	logLevel           string
}

// maxDevNodes keeps the ports of --http-port and --peer-port apart.
const maxDevNodes = 9

func devCommand() *cobra.Command {
	var c devConfig
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a local cluster: a process per node, stopped by Ctrl-C",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.nodes < 1 || c.nodes > maxDevNodes {
				return usageError{fmt.Errorf("--nodes %d: want 1 to %d", c.nodes, maxDevNodes)}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
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

func (c *devConfig) http(i int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.httpPort+i))
}
func (c *devConfig) peer(i int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.peerPort+i))
}
func (c *devConfig) name(i int) string { return "node-" + string(rune('a'+i)) }

// args is the command line of one node.
func (c *devConfig) args(i int) []string {
	args := []string{"serve", "--name", c.name(i), "--http", c.http(i), "--peer", c.peer(i), "--drain", "100ms",
		"--log-format", "console", "--log-level", c.logLevel}
	if c.nodes > 1 {
		var seeds []string
		for k := range c.nodes {
			seeds = append(seeds, c.peer(k))
		}
		args = append(args, "--seeds", strings.Join(seeds, ","))
	}
	return args
}

// dev runs the nodes until ctx ends or all of them have.
func dev(ctx context.Context, c *devConfig, out io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// A port that is taken must not be found out by a node whose neighbours then wait for it.
	for i := range c.nodes {
		for flag, address := range map[string]string{"http-port": c.http(i), "peer-port": c.peer(i)} {
			l, err := net.Listen("tcp", address)
			if err != nil {
				return fmt.Errorf("%w; stop what uses it, or choose others with --%s", err, flag)
			}
			_ = l.Close()
		}
	}
	screen := &lines{out: out}
	var running sync.WaitGroup
	stopped := make(chan struct{})
	processes := make([]*exec.Cmd, c.nodes)
	for i := range processes {
		p := exec.Command(self, c.args(i)...)
		p.SysProcAttr = childAttributes()
		w := &prefixer{lines: screen, prefix: c.name(i)}
		p.Stdout, p.Stderr = w, w
		if err := p.Start(); err != nil {
			for _, started := range processes[:i] {
				_ = started.Process.Signal(syscall.SIGTERM)
			}
			running.Wait()
			return err
		}
		processes[i] = p
		running.Go(func() {
			err := p.Wait()
			if ctx.Err() == nil {
				screen.print("%s has ended (%s). The others go on. Bring it back with:\n  %s %s\n",
					c.name(i), ending(err), self, strings.Join(c.args(i), " "))
			}
		})
	}
	go func() {
		running.Wait()
		close(stopped)
	}()
	began := time.Now()
	if c.awaitReady(ctx, stopped) {
		screen.print("%s", c.welcome(processes, time.Since(began)))
	}
	select {
	case <-ctx.Done():
	case <-stopped:
		return errors.New("all nodes have ended")
	}
	for _, p := range processes {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	<-stopped
	screen.print("\nstopped\n")
	return nil
}

func ending(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// awaitReady waits until every node is ready.
func (c *devConfig) awaitReady(ctx context.Context, stopped <-chan struct{}) bool {
	client := http.Client{Timeout: time.Second}
	for i := 0; i < c.nodes; {
		response, err := client.Get("http://" + c.http(i) + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				i++
				continue
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-stopped:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}

func (c *devConfig) welcome(processes []*exec.Cmd, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nviakv is ready: %d nodes, formed in %v\n\n", c.nodes, took.Round(10*time.Millisecond))
	for i, p := range processes {
		fmt.Fprintf(&b, "  %s   http://%s   process %d\n", c.name(i), c.http(i), p.Process.Pid)
	}
	last := c.nodes - 1
	fmt.Fprintf(&b, "\ntry\n  curl 'http://%s/set?k=color&v=green'\n  curl 'http://%s/get?k=color'\n  curl 'http://%s/getAll'\n  curl 'http://%s/cluster'\n",
		c.http(0), c.http(last), c.http(0), c.http(0))
	if c.nodes > 2 {
		fmt.Fprintf(&b, "  kill -9 %d   # then get again at another node: nothing is lost\n", processes[last].Process.Pid)
	}
	b.WriteString("\nCtrl-C stops all nodes.\n\n")
	return b.String()
}

// lines writes whole lines of several sources.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) print(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, format, args...)
}

// prefixer puts a node's name before each line of its log.
type prefixer struct {
	lines  *lines
	prefix string
	rest   []byte
}

func (p *prefixer) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		advance, line, err := bufio.ScanLines(p.rest, false)
		if err != nil || advance == 0 {
			return len(b), err
		}
		p.lines.print("%s  %s\n", p.prefix, line)
		p.rest = p.rest[advance:]
	}
}
