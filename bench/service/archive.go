package service

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"viakv/bench/report"
)

// archive is the directory of kept reports. It is safe for concurrent use.
type archive struct {
	dir string

	mu   sync.Mutex
	past []summary // newest first
}

// forms are the forms of a report that can be downloaded, with their content types.
var forms = map[string]string{
	"html": "text/html; charset=utf-8", "json": "application/json", "csv": "text/csv; charset=utf-8", "hgrm": "text/plain; charset=utf-8",
}

// idForm is the form of an id. Ids become names of files.
var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,80}$`)

var errNoReport = errors.New("there is no such report")

// openArchive reads the reports that are there. It leaves files alone that are no reports.
func openArchive(dir string) (*archive, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	// Never nil: in JSON that would be null, which the page cannot use as a list.
	a := &archive{dir: dir, past: []summary{}}
	for _, name := range names {
		id := strings.TrimSuffix(filepath.Base(name), ".json")
		if !idForm.MatchString(id) {
			continue
		}
		if r, err := a.read(id); err == nil {
			a.past = append(a.past, summarise(id, r))
		}
	}
	a.sort()
	return a, nil
}

func (a *archive) sort() {
	slices.SortFunc(a.past, func(x, y summary) int { return cmp.Or(y.Started.Compare(x.Started), cmp.Compare(y.ID, x.ID)) })
}

func (a *archive) read(id string) (*report.Report, error) {
	path, err := a.path(id, "json")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errNoReport
		}
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return report.Read(f)
}

// path returns the path of a report's file. It fails for an id or a form that cannot exist.
func (a *archive) path(id, form string) (string, error) {
	if _, known := forms[form]; !known || !idForm.MatchString(id) {
		return "", errNoReport
	}
	return filepath.Join(a.dir, id+"."+form), nil
}

func (a *archive) keep(id string, r *report.Report) error {
	if _, err := r.Save(a.dir, id); err != nil {
		return fmt.Errorf("keeping the report: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.past = append(a.past, summarise(id, r))
	a.sort()
	return nil
}

func (a *archive) list() []summary {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.past)
}

func (a *archive) remove(id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := slices.IndexFunc(a.past, func(s summary) bool { return s.ID == id })
	if at < 0 {
		return errNoReport
	}
	a.past = slices.Delete(a.past, at, at+1)
	for form := range forms {
		path, err := a.path(id, form)
		if err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
