package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"viakv/cmd/cliutil"
	"viakv/cmd/viakv/serve"
)

func serveCommand(commit string) *cobra.Command {
	c := serve.Config{Commit: commit}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run one node",
		Args:  cliutil.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.Check(); err != nil {
				return err
			}
			log, closeLog, err := c.OpenLog()
			if err != nil {
				return err
			}
			defer closeLog()
			return runNode(cmd.Context(), &c, log)
		},
	}
	c.Flags(cmd.Flags())
	return cmd
}

// runNode runs a node until a signal. The first signal makes it drain, the second ends it at once.
func runNode(ctx context.Context, c *serve.Config, log *zap.Logger) error {
	outliveSignals()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	// The limits of the container and the system come before anything that needs them.
	if err := c.Fit(log); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case got := <-signals:
			log.Info("draining", zap.Stringer("signal", got), zap.Duration("for", c.Drain()))
			stop()
		case <-ctx.Done():
			return
		}
		<-signals
		log.Warn("stopped at once by a second signal")
		_ = log.Sync()
		os.Exit(cliutil.ExitFailed)
	}()
	s, err := serve.New(ctx, c, log)
	if err != nil {
		return err
	}
	// A hangup makes the node read its files again.
	go func() {
		for {
			select {
			case <-hangups:
				log.Info("reading tokens and certificates again", zap.Stringer("signal", syscall.SIGHUP))
				s.Reload()
			case <-ctx.Done():
				return
			}
		}
	}()
	return s.Run(ctx)
}

// outliveSignals ignores signals that come from the surroundings of a process and ask nothing of
// it. The process must not end then, because a node's memory may hold the only copy of its keys.
//
// SIGPIPE comes when the reader of the log has ended: a journal that restarts, a terminal, a
// head(1). SIGTTOU and SIGTTIN stop a background process that writes to its terminal or reads from
// it. A closed terminal would end the process with SIGHUP; as in other daemons, SIGHUP makes a node
// read its files again.
func outliveSignals() { signal.Ignore(syscall.SIGPIPE, syscall.SIGTTOU, syscall.SIGTTIN) }
