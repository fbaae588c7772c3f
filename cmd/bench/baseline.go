package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"viakv/bench/baseline"
	"viakv/bench/scenario"
	"viakv/cmd/cliutil"
)

// baselineCommand serves one bare server, or compares viakv with other stores.
func baselineCommand() *cobra.Command {
	var (
		address string
		c       comparison
	)
	cmd := &cobra.Command{
		Use:   "baseline",
		Short: "Serve a map over HTTP, to see what this machine can do at most",
		Long: "Serve a map over HTTP, with nothing behind it: the limit to compare a cluster with.\nbench run and bench scan start these by themselves with --baseline. It ends when its input does.\n" +
			"With --against it serves nothing: it starts nodes of viakv and of each store that is named, measures them in turns with the same requests,\n" +
			"prints a table of the medians, and ends them. A store can be viakv, too: alone is nodes that know nothing of each other, quorum a mesh whose\n" +
			"gets ask a majority, lease=25ms one with leases of that length.",
		Example: "  bench baseline --against raft\n  bench baseline --against raft,redis-wait,nats,etcd --rounds 5\n  bench baseline --against alone --nodes 5 --mixes get,set,b --wrk",
		Args:    cliutil.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("against") {
				return c.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return serveBare(cmd.Context(), address, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&address, "http", "127.0.0.1:0", "where to serve")
	c.flags(cmd.Flags())
	return cmd
}

// serveBare serves one bare server. The server ends when its input ends, so that it cannot outlive
// the program that started it. At a terminal Ctrl-C or Ctrl-D ends it.
func serveBare(ctx context.Context, address string, in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return baseline.ServeUntilClosed(ctx, l, in, out, baseline.Serve)
}

// comparison is how viakv is measured in turns with other stores.
type comparison struct {
	against  []string
	nodes    int
	callers  []int
	pipeline int
	mixes    []string
	keys     uint64
	rounds   int
	duration time.Duration
	viakv    string
	wrk      bool
	scan     bool
	together bool
}

func (c *comparison) flags(f *pflag.FlagSet) {
	c.keys = 10_000
	f.StringSliceVar(&c.against, "against", nil, "stores to start and compare with: alone, quorum, lease=TIME, raft, bare, redis, redis-wait, nats, etcd; the last four must be on the PATH")
	f.IntVar(&c.nodes, "nodes", 3, "with --against: of each store, 1 to 5")
	f.IntSliceVar(&c.callers, "callers", []int{1, 16, 64, 256}, "with --against: numbers of callers, each with --pipeline requests under way")
	f.IntVar(&c.pipeline, "pipeline", 1, "with --against: requests in flight of each caller")
	f.StringSliceVar(&c.mixes, "mixes", []string{"get", "set"}, "with --against: what is measured: get, set, is, rm, or a YCSB letter as b")
	f.Var((*countValue)(&c.keys), "keys", "with --against: how many keys")
	f.IntVar(&c.rounds, "rounds", 3, "with --against: turns of each store")
	f.DurationVarP(&c.duration, "duration", "d", 4*time.Second, "with --against: of each turn")
	f.BoolVar(&c.wrk, "wrk", false, "with --against: send the requests with wrk, which must be on the PATH, in whole seconds")
	f.BoolVar(&c.scan, "beside-scan", false, "with --against: meanwhile, read all of a node over and over")
	f.BoolVar(&c.together, "together", false, "with --against and --mixes get: send the gets that a caller has in flight as one request")
	f.StringVar(&c.viakv, "viakv", "", "with --against: path of the viakv binary (default: beside this program)")
}

// endWithin is how long the program that compares may take to end its stores.
const endWithin = 20 * time.Second

// run leaves the work to the program that has the drivers of the stores.
func (c *comparison) run(ctx context.Context, out, complaints io.Writer) error {
	tools, err := findTools()
	if err != nil {
		return err
	}
	if tools.Against == "" {
		return scenario.ErrNoAgainst
	}
	viakv := cmp.Or(c.viakv, tools.Viakv)
	if viakv == "" {
		return errors.New("viakv does not lie beside this program: build it with make build, or name it with --viakv")
	}
	callers := make([]string, len(c.callers))
	for i, n := range c.callers {
		callers[i] = strconv.Itoa(n)
	}
	cmd := exec.CommandContext(ctx, tools.Against, "turns", "--viakv", viakv, "--against", strings.Join(c.against, ","), "--nodes", strconv.Itoa(c.nodes),
		"--callers", strings.Join(callers, ","), "--pipeline", strconv.Itoa(c.pipeline), "--mixes", strings.Join(c.mixes, ","), "--keys", strconv.FormatUint(c.keys, 10),
		"--rounds", strconv.Itoa(c.rounds), "--duration", c.duration.String(), "--wrk="+strconv.FormatBool(c.wrk), "--beside-scan="+strconv.FormatBool(c.scan), "--together="+strconv.FormatBool(c.together))
	cmd.Stdout, cmd.Stderr = out, complaints
	// It ends its stores when it is interrupted.
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, endWithin
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("comparing with %s: %w", strings.Join(c.against, ","), err)
	}
	return nil
}
