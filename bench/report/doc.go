// Package report keeps what a run found, and shows it: as text, JSON, CSV, HDR histograms in the
// form of their plotter, and one page of HTML that loads nothing from elsewhere. It also compares
// two reports.
//
// P1. A report says what was run, on what machine, and whether the load generator itself was the
// limit.
//
// P2. Histograms are stored whole, so that reports can be merged and compared at any quantile.
package report
