package cli

import (
	"context"
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/kv"
)

// quorumFlag is a flag that holds a quorum, in the words of the parameters r and w.
type quorumFlag kv.Quorum

// String returns nothing for the default, so that a command's help shows none.
func (q *quorumFlag) String() string {
	if kv.Quorum(*q) == kv.QuorumDefault {
		return ""
	}
	return kv.Quorum(*q).String()
}

// Set reads the flag.
func (q *quorumFlag) Set(s string) error {
	parsed, ok := kv.ParseQuorum(s)
	if !ok {
		return errors.New("want a number of replicas from 1 to their count, quorum or all")
	}
	*q = quorumFlag(parsed)
	return nil
}

// Type is what a command's help calls the flag's value.
func (*quorumFlag) Type() string { return "replicas" }

// quorums are the flags --r and --w of a command.
type quorums struct{ r, w quorumFlag }

func (q *quorums) options() client.Options {
	return client.Options{R: kv.Quorum(q.r), W: kv.Quorum(q.w)}
}

// readCommand is remoteCommand for a command that reads keys. It takes --r.
func readCommand(cmd *cobra.Command, run func(context.Context, *remote, *client.Client, []string) error) *cobra.Command {
	var q quorums
	remoteCommand(cmd, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
		return q.advise(run(ctx, r, c.With(q.options()), args))
	})
	cmd.Flags().Var(&q.r, "r", "replicas that a read asks: a number, quorum or all; without it, as many as the cluster is configured to. "+
		"A read from fewer may be older than what was acknowledged; 1 reads the copy of the node that answers")
	return cmd
}

// writeCommand is remoteCommand for a command that writes keys. It takes --r and --w.
func writeCommand(cmd *cobra.Command, run func(context.Context, *remote, *client.Client, []string) error) *cobra.Command {
	var q quorums
	remoteCommand(cmd, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
		return run(ctx, r, c.With(q.options()), args)
	})
	cmd.Flags().Var(&q.r, "r", "replicas that are asked before a write: a number, quorum or all; fewer than the cluster is configured to make no difference")
	cmd.Flags().Var(&q.w, "w", "replicas that a write waits for: a number, quorum or all; without it, as many as the cluster is configured to. "+
		"Reads may miss what fewer hold, and a crash may lose it")
	return cmd
}

// advise adds to a read that found too few replicas how to read fewer.
func (q *quorums) advise(err error) error {
	err = classify(err)
	coded, failed := errors.AsType[*codedError](err)
	e, asked := errors.AsType[*client.Error](err)
	if failed && asked && coded.code == exitUnavailable && e.Status == http.StatusServiceUnavailable && e.RetryAfter == 0 && q.r != 1 {
		coded.advice += "; with three members or more, `--r 1` reads the asked node's own copy, which may be older"
	}
	return err
}
