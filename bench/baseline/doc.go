// Package baseline is the least that an HTTP server can do: a map behind a query. What it reaches on a machine, with the same
// generator and the same requests, is the limit that a store can be compared with; figures of different machines, or of the same one at different
// times, cannot.
//
// It runs as processes of its own, as many as there are nodes, so that the generator leaves them the same share of the machine as the real target.
// Keys are percent-decoded; nothing is checked, replicated or bounded.
package baseline
