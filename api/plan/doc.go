// Package plan works out what a join or a leave would do to the quorums, from one node's status.
// The node answers it at /plan, so that the console and the command line show the same. The package
// is pure: it asks no node and changes nothing.
//
// P1. A plan says "possible" only where the cluster would not refuse the change if it were asked
// now and saw the same status. The plan cannot know what changes meanwhile.
//
// P2. Quorums follow their configuration, which the status carries. A majority stays a majority,
// and all stays all. A number stays that number as long as there are so many members.
package plan
