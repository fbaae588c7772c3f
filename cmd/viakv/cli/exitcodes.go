package cli

import (
	"errors"
	"net/http"

	"viakv/api/client"
	"viakv/api/kv"
	"viakv/cmd/cliutil"
)

// The exit codes. The commands that ask a cluster have a code for each kind of failure, for
// scripts. The commands serve, dev, health and certs have only 0 to 2.
const (
	// exitMissing: there is no such key, or no such member.
	exitMissing = cliutil.ExitFailed
	// exitUsage: a command line, a parameter or a file cannot be understood; nothing happened.
	exitUsage = cliutil.ExitUsage

	exitUnavailable = 3 // no node answers, or too few for a quorum; nothing happened
	exitDenied      = 4 // a token is missing, or its role does not suffice
	exitUnknown     = 5 // unavailable, and what was asked for may have happened
	exitRefused     = 6 // the cluster refused, or the command failed in another way
)

// codedError is a failure with its exit code.
type codedError struct {
	code   int
	advice string // what the user can do, beyond what the error says; may be empty
	err    error
}

func (e *codedError) Error() string {
	if e.advice == "" {
		return e.err.Error()
	}
	return e.err.Error() + "; " + e.advice
}

func (e *codedError) Unwrap() error { return e.err }

func exitCode(err error) int {
	if cliutil.IsUsage(err) {
		return exitUsage
	}
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	return cliutil.ExitFailed
}

// classify adds to the failure of a command that asks a cluster its exit code and some advice.
func classify(err error) error {
	if err == nil || cliutil.IsUsage(err) || errors.As(err, new(*codedError)) {
		return err
	}
	coded := &codedError{code: exitRefused, err: err}
	e, asked := errors.AsType[*client.Error](err)
	// The kinds of failure, the most certain first.
	switch {
	case errors.Is(err, kv.ErrMissing), errors.Is(err, kv.ErrNoSuchNode):
		coded.code = exitMissing
	case errors.As(err, new(*kv.ArgumentError)):
		coded.code = exitUsage
	case !asked: // the command itself has failed
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		coded.code, coded.advice = exitDenied, "give a token whose role suffices with --token-file or VIAKV_TOKEN"
	case e.Status == http.StatusBadRequest, e.Status == http.StatusRequestURITooLong:
		coded.code = exitUsage
	case e.Outcome == kv.Unknown:
		coded.code, coded.advice = exitUnknown, "read what is there now, then decide whether to repeat the command"
	case e.Status == 0:
		coded.code = exitUnavailable
		coded.advice = "is a node running there? `viakv dev` starts some; name others with --endpoints or VIAKV_ENDPOINTS"
		if errors.Is(err, client.ErrCut) {
			coded.advice = "what was received is not everything; repeat the command"
		}
	case e.Status == http.StatusServiceUnavailable, e.Status == http.StatusBadGateway, e.Status == http.StatusGatewayTimeout:
		coded.code, coded.advice = exitUnavailable, "`viakv status` shows the members and what they wait for"
	}
	return coded
}
