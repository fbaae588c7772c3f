// Package scenario runs the scenarios that the command line and the testing service both offer,
// from one description to one report.
package scenario
