package main

import "testing"

func TestLogLevelsAndFormats(t *testing.T) {
	for _, format := range []string{"auto", "json", "console"} {
		for _, level := range []string{"debug", "info", "warn", "error"} {
			log, err := newLogger(format, level)
			if err != nil || log.Level().String() != level {
				t.Errorf("%s, %s: error %v", format, level, err)
			}
		}
	}
}
