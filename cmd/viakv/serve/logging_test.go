package serve

import (
	"io"
	"testing"
)

func TestLogLevelsAndFormats(t *testing.T) {
	out := newLogOutput(io.Discard)
	defer out.close()
	for _, format := range []string{"auto", "json", "console"} {
		for _, level := range []string{"debug", "info", "warn", "error"} {
			log, err := newLogger(format, level, out)
			if err != nil || log.Level().String() != level {
				t.Errorf("%s, %s: error %v", format, level, err)
			}
		}
	}
}
