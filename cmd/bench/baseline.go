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
			"With --against it serves nothing: it starts three nodes of viakv and of each store that is named, measures them in turns with the same requests,\n" +
			"prints a table of the medians, and ends them.",
		Example: "  bench baseline --against raft\n  bench baseline --against raft,redis-wait,nats,etcd --rounds 5",
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
	callers  []int
	keys     uint64
	rounds   int
	duration time.Duration
	viakv    string
}

func (c *comparison) flags(f *pflag.FlagSet) {
	c.keys = 10_000
	f.StringSliceVar(&c.against, "against", nil, "stores to start and compare with: raft, redis, redis-wait, nats, etcd; those but raft must be on the PATH")
	f.IntSliceVar(&c.callers, "callers", []int{1, 16, 64, 256}, "with --against: numbers of callers, each with one request under way")
	f.Var((*countValue)(&c.keys), "keys", "with --against: how many keys")
	f.IntVar(&c.rounds, "rounds", 3, "with --against: turns of each store")
	f.DurationVarP(&c.duration, "duration", "d", 4*time.Second, "with --against: of each turn")
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
	cmd := exec.CommandContext(ctx, tools.Against, "turns", "--viakv", viakv, "--against", strings.Join(c.against, ","), "--callers", strings.Join(callers, ","),
		"--keys", strconv.FormatUint(c.keys, 10), "--rounds", strconv.Itoa(c.rounds), "--duration", c.duration.String())
	cmd.Stdout, cmd.Stderr = out, complaints
	// It ends its stores when it is interrupted.
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, endWithin
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("comparing with %s: %w", strings.Join(c.against, ","), err)
	}
	return nil
}
