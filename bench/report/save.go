package report

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Save writes the report into a directory, in every form that it has, and returns the paths. It
// makes the directory.
func (r *Report) Save(dir, name string) (paths []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	forms := []struct {
		extension string
		write     func(io.Writer) error
	}{{".json", r.WriteJSON}, {".html", r.WriteHTML}}
	if r.Load != nil {
		forms = append(forms, []struct {
			extension string
			write     func(io.Writer) error
		}{{".csv", r.WriteCSV}, {".hgrm", r.WriteHistogram}}...)
	}
	for _, form := range forms {
		path := filepath.Join(dir, name+form.extension)
		if err := save(path, form.write); err != nil {
			return paths, fmt.Errorf("writing %s: %w", path, err)
		}
		paths = append(paths, path)
	}
	if len(r.Growth) == 0 {
		return paths, nil
	}
	more, err := r.SaveGrowth(dir, name)
	return append(paths, more...), err
}

// save writes a file completely or not at all, so that the directory never has half a report.
func save(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
