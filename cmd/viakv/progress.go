package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is a bar for a person who waits; nothing where the output is no terminal.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress expects total steps; below zero: it is not known how many.
func newProgress(out io.Writer, what string, total int64) progress {
	if !isTerminal(out) {
		return progress{}
	}
	return progress{progressbar.NewOptions64(total, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("pairs"), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())}
}

// add counts steps. Safe for concurrent use.
func (p progress) add(n int) {
	if p.bar != nil {
		_ = p.bar.Add(n)
	}
}

// end takes the bar away.
func (p progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
