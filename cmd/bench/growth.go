package main

import (
	"github.com/spf13/cobra"

	"viakv/bench/scenario"
)

// growthCommand measures a series of sizes.
func growthCommand() *cobra.Command {
	s := scenario.Default("load")
	s.Pipeline = 16
	var (
		o     outputs
		sizes []string
	)
	cmd := &cobra.Command{
		Use:   "growth",
		Short: "Measure clusters of its own from few keys to many: time, throughput, memory, scans",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var numbers []uint64
			for _, text := range sizes {
				var n countValue
				if err := n.Set(text); err != nil || n == 0 {
					return usageError{errSize(text)}
				}
				numbers = append(numbers, uint64(n))
			}
			tools, err := findTools()
			if err != nil {
				return err
			}
			screen := newScreen(cmd.OutOrStdout(), cmd.ErrOrStderr())
			defer screen.close()
			r, err := scenario.Growth(cmd.Context(), s, numbers, tools, screen.events())
			if err != nil {
				return err
			}
			return finish(r, o, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&sizes, "sizes", []string{"10k", "100k", "1M", "10M"}, "numbers of keys, each on a new cluster")
	f.IntVar(&s.Nodes, "nodes", s.Nodes, "of each cluster")
	f.StringVar(&s.Binary, "viakv", "", "path of the viakv binary (default: beside this program, or built)")
	f.StringVar(&s.KeySize, "key-size", s.KeySize, "characters of a key, or a range")
	f.StringVar(&s.ValueSize, "value-size", s.ValueSize, "characters of a value, or a range")
	f.DurationVarP(durationOf(&s.Duration), "duration", "d", *durationOf(&s.Duration)/2, "of each measurement of gets and of sets")
	f.StringVar(&s.Title, "title", "", "of the report")
	connectionFlags(f, &s)
	o.flags(f)
	return cmd
}
