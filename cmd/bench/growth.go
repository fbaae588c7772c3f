package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"viakv/bench/scenario"
	"viakv/cmd/cliutil"
)

// growthCommand measures clusters of several sizes.
func growthCommand() *cobra.Command {
	s := scenario.Default("load")
	s.Pipeline = 16
	var (
		o      outputs
		sizes  []string
		docs   string
		within time.Duration
	)
	cmd := &cobra.Command{
		Use:   "growth",
		Short: "Measure clusters of its own from few keys to many: time, throughput, memory, scans",
		Long: "Founds a cluster for each number of keys, fills it, measures gets, sets and getAll, and ends it. Nothing needs to run already.\n" +
			"With --out the report, its plots (.svg) and its table (.md) are kept; with --docs the plots and the table of docs/performance.md are renewed.",
		Example: "  bench growth --sizes 10k,100k,1M,10M -o out --docs docs",
		Args:    cliutil.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var numbers []uint64
			for _, text := range sizes {
				var n countValue
				if err := n.Set(text); err != nil || n == 0 {
					return cliutil.Usagef("size %q: give a number above zero, as in 100000, 100k or 2M", text)
				}
				numbers = append(numbers, uint64(n))
			}
			tools, err := findTools()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), within)
			defer cancel()
			events, closeScreen := o.watch(cmd.OutOrStdout(), cmd.ErrOrStderr())
			defer closeScreen()
			r, err := scenario.Growth(ctx, s, numbers, tools, events)
			if err != nil {
				return err
			}
			if err := finish(r, o, cmd.OutOrStdout()); err != nil || docs == "" {
				return err
			}
			paths, err := r.PublishGrowth(docs)
			for _, p := range paths {
				fmt.Fprintln(cmd.OutOrStdout(), "wrote", p)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&sizes, "sizes", []string{"10k", "100k", "1M", "10M"}, "numbers of keys, each on a new cluster")
	f.IntVar(&s.Nodes, "nodes", s.Nodes, "of each cluster")
	f.StringVar(&s.Binary, "viakv", "", "path of the viakv binary (default: beside this program, or built)")
	f.StringVar(&s.KeySize, "key-size", s.KeySize, "characters of a key, or a range")
	f.StringVar(&s.ValueSize, "value-size", s.ValueSize, "characters of a value, or a range")
	f.DurationVarP((*time.Duration)(&s.Duration), "duration", "d", time.Duration(s.Duration)/2, "of each measurement of gets and of sets")
	f.DurationVar(&within, "within", 30*time.Minute, "for all sizes; the one that is under way then is left out")
	f.StringVar(&docs, "docs", "", "directory of documents whose plots (images/growth-*.svg) and table (performance.md) to renew")
	f.StringVar(&s.Title, "title", "", "of the report")
	connectionFlags(f, &s)
	o.flags(f)
	return cmd
}
