package report

import "io"

// WriteHTML soon.
func (r *Report) WriteHTML(w io.Writer) error { return nil }
