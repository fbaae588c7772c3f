package scenario

import (
	"context"
	"errors"

	"viakv/bench/report"
)

func runChaos(context.Context, Spec, Tools, Events) (*report.Report, error) {
	return nil, errors.New("soon")
}
