// Package report keeps what a run found, and shows it: as text, JSON, CSV, HDR histograms in their log format, and one page of HTML
// without anything from elsewhere. It compares two reports.
//
// P1. A report says what was run, on what machine, and whether the generator itself was the limit.
//
// P2. Histograms are stored whole, so that reports can be merged and compared at any quantile.
package report
