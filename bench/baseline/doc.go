// Package baseline is the least that an HTTP server can do: a map behind a query. What it reaches
// on a machine, with the same load generator and the same requests, is the limit to which a store
// can be compared. Figures of different machines, or of one machine at different times, cannot be
// compared.
//
// The baseline runs as processes of its own, as many as there are nodes, so that the load generator
// leaves them the same share of the machine as the real target. Keys are percent-decoded; nothing
// is checked, replicated or bounded.
package baseline
