package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

func serveCommand() *cobra.Command {
	var c config
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run one node",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.check(); err != nil {
				return err
			}
			log, err := newLogger(c.logFormat, c.logLevel)
			if err != nil {
				return err
			}
			defer func() { _ = log.Sync() }()
			return serve(cmd.Context(), &c, log)
		},
	}
	c.flags(cmd.Flags())
	return cmd
}

// serve runs a node until a signal: the first lets it drain, the second ends it at once.
func serve(ctx context.Context, c *config, log *zap.Logger) error {
	if err := fitMemory(log, containerMemory("/sys/fs/cgroup"), c.maxMemory); err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case got := <-signals:
			log.Info("draining", zap.Stringer("signal", got), zap.Duration("for", c.drain))
			stop()
		case <-ctx.Done():
			return
		}
		<-signals
		log.Warn("stopped at once by a second signal")
		os.Exit(exitFailed)
	}()
	s, err := newServer(ctx, c, log)
	if err != nil {
		return err
	}
	return s.run(ctx)
}
