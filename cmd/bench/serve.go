package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"viakv/api/listen"
	"viakv/bench/service"
	"viakv/cmd/cliutil"
)

// serveCommand serves the testing service.
func serveCommand() *cobra.Command {
	var (
		c       service.Config
		address string
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the testing service: all scenarios behind a web page",
		Long:  "Serve a web page on which scenarios are chosen, started, watched, stopped and compared.\nReports are kept as files in --out. It is for this machine: there is no log-in; put a proxy that has one in front to let others in.",
		Args:  cliutil.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tools, err := findTools()
			if err != nil {
				return err
			}
			c.Tools = tools
			s, err := service.New(c)
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", address)
			if err != nil {
				return fmt.Errorf("%w; choose another address with --http", err)
			}
			// The reader of the output may end before this process. The waiting runs exist in this
			// process only, so it must not end then.
			signal.Ignore(syscall.SIGPIPE)
			fmt.Fprintf(cmd.OutOrStdout(), "the testing service is at http://%s, its reports in %s\n", l.Addr(), c.Dir)
			return serveOn(cmd.Context(), s, l)
		},
	}
	f := cmd.Flags()
	f.StringVar(&address, "http", "127.0.0.1:8090", "where to serve")
	f.StringVarP(&c.Dir, "out", "o", "out/bench", "directory for the reports")
	f.StringSliceVarP(&c.Targets, "target", "t", devTargets, "that the page proposes")
	f.StringVar(&c.Token, "token", "", "bearer token for targets (better: the variable BENCH_TOKEN)")
	f.BoolVar(&c.AllowRemote, "allow-remote", false, "permit load on targets that are not this machine")
	f.StringSliceVar(&c.Hosts, "host", nil, "names by which browsers reach this service, beside localhost and addresses")
	f.DurationVar(&c.MaxDuration, "max-duration", time.Hour, "longest measured part of one run")
	return cmd
}

// serveOn serves until ctx ends. It then stops the current run and keeps its report, and closes the
// connections last.
func serveOn(ctx context.Context, s *service.Service, l net.Listener) error {
	handler, err := s.Handler()
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	var working sync.WaitGroup
	working.Go(func() { s.Run(ctx) })
	served := make(chan error, 1)
	go func() { served <- server.Serve(listen.Wrap(l, "testing service", nil)) }()
	select {
	case <-ctx.Done():
	case err := <-served:
		return err
	}
	working.Wait()
	err = server.Close() // event streams never end by themselves
	if closed := <-served; !errors.Is(closed, http.ErrServerClosed) {
		err = errors.Join(err, closed)
	}
	return err
}
