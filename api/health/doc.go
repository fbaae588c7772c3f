// Package health judges how well a cluster serves, from what one node knows of the members. It is
// pure, and it is the only place that judges: /cluster, /readyz, /plan, the command line, the
// console, the metrics, the log and what a forced leave may lose all show its verdict.
//
// A node learns the facts by heartbeats. They are stamped and admitted as the requests of a quorum
// are. So a member counts only while the process that holds its copy answers, in this cluster and
// at this epoch. A process that was restarted answers as another one, and counts for nothing until
// it has rebuilt.
package health
