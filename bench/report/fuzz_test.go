package report

import (
	"bytes"
	"io"
	"testing"
)

// FuzzRead checks that each file that Read accepts can be shown and compared. The commands bench
// show and bench compare take any file.
func FuzzRead(f *testing.F) {
	r := full()
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		r, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, write := range []func(io.Writer) error{r.WriteText, r.WriteHTML, r.writeCSV, r.writeHistogram, r.writeGrowthTable, r.WriteJSON} {
			_ = write(io.Discard)
		}
		_, _ = Compare(r, full())
		_, _ = Compare(full(), r)
	})
}
