// Package plan works out what a join or a leave would do to the quorums, from one node's status. The node answers it at /plan, so that the console
// and the command line show the same. Pure: it asks nobody and changes nothing.
//
// P1. A plan says "possible" only where the cluster, asked now and seeing the same, would not refuse; it cannot know what changes meanwhile.
//
// P2. Quorums follow their configuration, which the status carries: a majority stays a majority, all stays all, and a number stays
// a number as long as there are so many members.
package plan
