package main

import (
	"testing"
	"time"

	"viakv/bench/scenario"
)

// TestScenariosKeepTheirDefaults checks that a flag which several scenarios share does not
// overwrite the default of one scenario.
func TestScenariosKeepTheirDefaults(t *testing.T) {
	for _, cmd := range scenarioCommands() {
		if cmd.Name() != "chaos" {
			continue
		}
		d := scenario.Default("chaos")
		for name, want := range map[string]time.Duration{"duration": 3 * time.Duration(d.Duration), "clear-every": time.Duration(d.Duration), "scan-every": time.Duration(d.ScanEvery)} {
			if got, err := cmd.Flags().GetDuration(name); err != nil || got != want || got == 0 {
				t.Errorf("--%s is %v by default, want %v (%v)", name, got, want, err)
			}
		}
		return
	}
	t.Error("there is no chaos")
}
