package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"viakv/bench/report"
)

// AgainstName is the name of the program that measures neighbours. It is built apart, so that this
// program does not link their drivers.
const AgainstName = "bench-against"

// ErrNoAgainst says how to get the program that measures neighbours.
var ErrNoAgainst = errors.New("neighbours are measured by " + AgainstName + ", which lies neither beside this program nor on the PATH: build it with make build-against")

// against measures the neighbours one after another.
func (u *setup) against(ctx context.Context, r *report.Report) {
	for _, name := range u.Against {
		if ctx.Err() != nil {
			return
		}
		u.events.log("measuring %s", name)
		load, err := u.neighbour(ctx, name)
		if err != nil { // what the target itself reached stays in the report
			r.Fail("%s: %v", name, err)
			continue
		}
		u.judgeLoad(r, name+" is no measure: ", load)
		r.Against = append(r.Against, report.Neighbour{Name: name, Load: load, Ratio: r.Load.Throughput / max(load.Throughput, 1e-9)})
	}
}

// neighbour runs the program on one neighbour and reads the report that it leaves.
func (u *setup) neighbour(ctx context.Context, name string) (*report.Load, error) {
	dir, err := os.MkdirTemp("", "viakv-against-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	args := []string{"--target", name, "--out", dir, "--keys", strconv.FormatUint(u.Keys, 10), "--mix", u.Mix, "--distribution", u.Distribution,
		"--connections", strconv.Itoa(u.Connections), "--pipeline", strconv.Itoa(u.Pipeline), "--rate", strconv.FormatFloat(u.Rate, 'f', -1, 64),
		"--duration", time.Duration(u.Duration).String(), "--key-size", u.KeySize, "--value-size", u.ValueSize, "--seed", strconv.FormatUint(u.Seed, 10)}
	if u.AllowRemote {
		args = append(args, "--allow-remote")
	}
	cmd := exec.CommandContext(ctx, u.tools.Against, args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		if said := strings.TrimSpace(complaint.String()); said != "" {
			return nil, errors.New(said)
		}
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		return nil, errors.Join(err, fmt.Errorf("%s left %d reports, not 1", u.tools.Against, len(files)))
	}
	f, err := os.Open(files[0])
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	theirs, err := report.Read(f)
	if err != nil {
		return nil, err
	}
	if theirs.Load == nil {
		return nil, fmt.Errorf("the report of %s has no load", u.tools.Against)
	}
	return theirs.Load, nil
}
