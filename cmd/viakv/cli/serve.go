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

// runNode runs a node until a signal: the first lets it drain, the second ends it at once.
func runNode(ctx context.Context, c *serve.Config, log *zap.Logger) error {
	outliveSignals()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
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

// outliveSignals ignores those that come from the surroundings of a process and ask nothing of it.
// Of a node's memory there may be no other copy.
//
// SIGPIPE comes when what reads the log is gone: a journal that restarts, a terminal, a head(1).
// SIGTTOU and SIGTTIN stop a process in the background of a terminal that it writes to or reads
// from. SIGHUP, by which a terminal that is closed would end it, is what daemons read their files
// again at.
func outliveSignals() { signal.Ignore(syscall.SIGPIPE, syscall.SIGTTOU, syscall.SIGTTIN) }
