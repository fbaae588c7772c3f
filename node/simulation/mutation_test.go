//go:build mutation

package simulation

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"viakv/quorum/version/rule"
)

// The mutation gate: with each rule of the protocol switched off in turn, the simulation must find something wrong. A rule whose loss
// nothing notices is either not needed or not tested.
//
//	go test -tags mutation ./node/simulation -run MutationGate   (make mutation)
var broken = flag.String("sim.break", "", "run with this rule switched off")

func TestMain(m *testing.M) {
	flag.Parse()
	if r := rule.Named(*broken); *broken != "" {
		if r == rule.None {
			fmt.Fprintf(os.Stderr, "no rule is named %q\n", *broken)
			os.Exit(2)
		}
		rule.Break(r)
	}
	os.Exit(m.Run())
}

// unnoticed are the rules whose loss these simulations do not notice, with the reason; docs/testing.md lists them, too.
var unnoticed = map[rule.Rule]string{
	rule.Destination:   seldom,
	rule.Requery:       seldom,
	rule.RealAcks:      "the simulated network loses data messages without an error, so few acknowledgements are ever refused",
	rule.Contested:     "nine of 200,000 histories of the protocol's model; see ADR 8",
	rule.EnoughCopies:  seldom,
	rule.PendingNoVote: seldom,
	rule.Sealing:       seldom,
	rule.Barrier:       seldom,
	rule.ClearSealed:   seldom,
	rule.PurgeAll:      seldom,
}

const seldom = "needs a schedule that the simulation draws too seldom; a directed test is missing"

// enough is how many seeds of each shape are tried before a rule counts as unnoticed.
const enough = "60"

func TestMutationGate(t *testing.T) {
	if *broken != "" {
		t.Skip("inside the gate")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rule.All() {
		t.Run(r.String(), func(t *testing.T) {
			t.Parallel()
			if why, ok := unnoticed[r]; ok {
				t.Skip("not noticed: " + why)
			}
			out, err := exec.Command(self, "-test.run", "^TestSimulation$", "-test.failfast", "-sim.break", r.String(), "-sim.seeds", enough).CombinedOutput()
			if err == nil {
				t.Fatalf("with %s switched off %s seeds of each shape passed", r, enough)
			}
			for _, line := range strings.Split(string(out), "\n") {
				if strings.Contains(line, "seed ") || strings.Contains(line, "I1:") || strings.Contains(line, "I2:") || strings.Contains(line, "I3:") ||
					strings.Contains(line, "not equal") || strings.Contains(line, "not whole") || strings.Contains(line, "panic:") {
					t.Log(strings.TrimSpace(line))
					break
				}
			}
		})
	}
}
