package scenario

import (
	"context"
	"errors"

	"viakv/bench/report"
)

func (u *setup) check(context.Context, *report.Report) error { return errors.New("soon") }

func runChaos(context.Context, Spec, Tools, Events) (*report.Report, error) {
	return nil, errors.New("soon")
}
