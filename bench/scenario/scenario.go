package scenario

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"viakv/api/client"
	"viakv/bench"
	"viakv/bench/baseline"
	"viakv/bench/report"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// Events tell a watcher how a run goes. Each function may be nil. They are called from different
// goroutines, and must not block for long.
type Events struct {
	Sample   func(runner.Sample)
	Log      func(line string)
	Progress func(phase string, done, total uint64) // total 0: not known
}

func (e Events) log(format string, args ...any) {
	if e.Log != nil {
		e.Log(fmt.Sprintf(format, args...))
	}
}

func (e Events) progress(phase string, done, total uint64) {
	if e.Progress != nil {
		e.Progress(phase, done, total)
	}
}

// Tools are programs that scenarios start.
type Tools struct {
	// Baseline starts one bare server.
	Baseline baseline.Command
	// Viakv is the path of the viakv program, for chaos. Empty: it is built from source.
	Viakv string
	// Against is the path of the program that measures neighbours. Empty: there is none.
	Against string
	// Commit is the commit that this program was built from, for reports. Empty: the build
	// information says it.
	Commit string
}

// begin begins the report of a run. The title is used when the description has none.
func (s *Spec) begin(title string, began time.Time, tools Tools) *report.Report {
	r := report.New(s.Scenario, cmp.Or(s.Title, title), began, s.flags())
	r.Environment.Commit = cmp.Or(r.Environment.Commit, tools.Commit)
	return r
}

// setup is what all scenarios on a running cluster need.
type setup struct {
	Spec
	tools  Tools
	events Events

	keys    workload.Keys
	config  client.Config
	targets []runner.Target
	client  *client.Client // of all targets
	version string
}

// Run runs a scenario. An error means that the scenario could not be run. What the target did wrong
// is in the report.
func Run(ctx context.Context, s Spec, tools Tools, events Events) (*report.Report, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if s.Scenario == "chaos" {
		return runChaos(ctx, s, tools, events)
	}
	u, err := prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	defer u.client.Close()
	u.tools, u.events = tools, events
	if len(s.Against) > 0 && tools.Against == "" {
		return nil, ErrNoAgainst
	}
	began := time.Now()
	r := s.begin(u.title(), began, tools)
	r.Environment.Target = u.version
	switch s.Scenario {
	case "load":
		err = u.load(ctx, r)
	case "run":
		if err = u.run(ctx, r); err == nil {
			u.against(ctx, r)
		}
	case "find-max":
		err = u.findMax(ctx, r)
	case "scan":
		err = u.scan(ctx, r)
	case "check":
		err = u.check(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	if r.Seconds == 0 {
		r.Seconds = time.Since(began).Seconds()
	}
	if ctx.Err() != nil {
		r.Fail("stopped before its end")
	}
	return r, nil
}

// prepare checks that the targets answer, are viakv, and may be loaded.
func prepare(ctx context.Context, s Spec) (*setup, error) {
	u := &setup{Spec: s, config: client.Config{Endpoints: s.Targets, Token: s.Token, Timeout: time.Duration(s.Timeout)}}
	var err error
	if u.keys, err = s.space(); err != nil {
		return nil, err
	}
	if s.CAFile != "" {
		if u.config.TLS, err = trust(s.CAFile); err != nil {
			return nil, err
		}
	}
	options, err := s.options()
	if err != nil {
		return nil, err
	}
	if u.targets, err = runner.NewHTTP(u.config, options); err != nil {
		return nil, err
	}
	// Refuse other machines before the first request.
	if !s.AllowRemote {
		for _, t := range s.Targets {
			if err := bench.Loopback(ctx, t); err != nil {
				return nil, err
			}
		}
	}
	c, err := client.New(u.config)
	if err != nil {
		return nil, err
	}
	u.client = c.With(options)
	// Ask the target what it is.
	probe, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	v, err := u.client.Version(probe)
	if err != nil {
		c.Close()
		if errors.Is(err, client.ErrNotViakv) {
			return nil, fmt.Errorf("what answers at the target is no viakv: %w", err)
		}
		return nil, fmt.Errorf("the target cannot be reached (is it running? try viakv dev): %w", err)
	}
	u.version = "viakv " + v.Version + ", " + v.Go
	return u, nil
}

func trust(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

func (u *setup) title() string {
	targets := fmt.Sprintf("%d targets", len(u.Targets))
	if len(u.Targets) == 1 {
		targets = u.Targets[0]
	}
	switch u.Scenario {
	case "load":
		return fmt.Sprintf("load of %s keys, %s", report.Count(u.Keys), targets)
	case "run":
		return fmt.Sprintf("run of mix %s on %s keys, %s", u.Mix, report.Count(u.Keys), targets)
	case "find-max":
		return fmt.Sprintf("highest rate of mix %s with %s, %s", u.Mix, u.Objective, targets)
	}
	return u.Scenario + ", " + targets
}

// runner returns the part of the configuration that all loads share.
func (u *setup) runner() runner.Config {
	return runner.Config{
		Targets: u.targets, Keys: u.keys, Connections: u.Connections, Pipeline: u.Pipeline, Seed: u.Seed, Timeout: time.Duration(u.Timeout),
		Rate: u.Rate, Poisson: u.Poisson, Warmup: time.Duration(u.Warmup), Ramp: time.Duration(u.Ramp), Duration: time.Duration(u.Duration),
		Verify: u.Verify, OnSample: u.events.Sample,
	}
}

// mixed returns the configuration of a load with the mix.
func (u *setup) mixed() (runner.Config, error) {
	c := u.runner()
	mix, distribution, err := u.mix()
	if err != nil {
		return c, err
	}
	c.Sources, err = workload.Streams(mix, distribution, u.Keys, u.Seed)
	return c, err
}
