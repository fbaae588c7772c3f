//go:build mutation

package simulation

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"viakv/quorum/version/rule"
)

// The mutation gate switches off each rule of the protocol in turn. The simulation or a directed
// test must then find something wrong. If nothing notices the loss of a rule, the rule is not
// needed or not tested.
//
//	go test -tags mutation ./node/simulation -run MutationGate   (make mutation)

// broken names the rule that is switched off in this process; empty: none.
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
	goleak.VerifyTestMain(m)
}

// directed names the rules whose loss random faults show too seldom. Each has a test that makes the
// schedule in which the loss does harm.
var directed = map[rule.Rule]struct{ dir, test string }{
	rule.Destination:   {"..", "TestAMisdirectedRequestIsNoAcknowledgement"},
	rule.Requery:       {"../../quorum", "TestARemoveDoesNotGoOnPastAPurge"},
	rule.Firm:          {"../../quorum", "TestAReadAnswersOnlyWhatWHold"},
	rule.WriteQuery:    {"../../quorum", "TestAWriteAsksMoreThanItsR"},
	rule.Meet:          {"../topology", "TestQuorumsOfTwoSizesMeet"},
	rule.RealAcks:      {"../../quorum", "TestAHintIsNoAcknowledgement"},
	rule.VoteOnce:      {"..", "TestAReplicaVotesForOneRemoveOnly"},
	rule.Contested:     {"../../quorum", "TestARebuiltReplicaVotesForNobody"},
	rule.EnoughCopies:  {"..", "TestARebuildMissesNoAcknowledgedWrite"},
	rule.PendingNoVote: {"../../quorum", "TestPendingMembersGetWritesAndCountNothing"},
	rule.Sealing:       {"../topology", "TestSealed"},
	rule.Barrier:       {"..", "TestTwoLeavesLoseNothing"},
	rule.ClearSealed:   {"../topology", "TestClearIsAnsweredAfterSealing"},
	rule.PurgeAll:      {"../../handoff", "TestATombstoneThatOneMissedStays"},
	rule.Quiet:         {"../topology", "TestAMemberThatIsNotQuietDelaysSealing"},
	rule.Asking:        {"../../quorum/lease", "TestWhatIsCountedFromTheAnswer"},
	rule.CatchUp:       {"../../quorum/lease", "TestCatchingUp"},
	rule.Joiner:        {"../peer", "TestAJoinerGivesNoLeaseBeforeItsBarrierIsDone"},
	rule.Processes:     {"../../quorum/lease", "TestHowManySessionsAreNeeded"},
	rule.Names:         {"../../quorum", "TestASetWaitsForThoseWhoReadAlone"},
	rule.NamesAfter:    {"../../quorum", "TestNamesAreLookedUpAfterTheStore"},
	rule.RepliesName:   {"../peer", "TestAReplyToAQueryNamesHolders"},
	rule.ClosedStands:  {"../../quorum", "TestASetWaitsForThoseWhoReadAlone"},
	rule.Absence:       {"../../quorum", "TestAbsenceIsNotConfirmedBeforeAClearIsSealed"},
	rule.Vouch:         {"../../quorum", "TestASetForWhichTooFewVouchIsUnknown"},
	rule.EnoughVouch:   {"../../quorum", "TestASetForWhichTooFewVouchIsUnknown"},
	rule.ReliedOn:      {"../peer", "TestOnlyTheSessionThatWasReliedOnVouches"},
	rule.JudgedAgain:   {"../../quorum", "TestTheOwnCopyIsJudgedAnew"},
	rule.Confirmed:     {"../../quorum/replica", "TestWhatIsConfirmed"},
	rule.HeldBack:      {"../../quorum", "TestAnUnansweredWriteHoldsTheWatermarkBack"},
	rule.OwnersMark:    {"../../quorum", "TestATombstoneIsConfirmedByItsRemove"},
	rule.ScanConfirmed: {"../../quorum/scan", "TestAScanReadsWhatIsNotKnownToBeComplete"},
	rule.KeyedHash:     {"../../ring/keyspace", "TestKeysMadeToCollideDoNot"},
}

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
			if d, ok := directed[r]; ok {
				gate(t, r, d.dir, d.test)
				return
			}
			out, err := exec.Command(self, "-test.run", "^TestSimulation$", "-test.failfast", "-sim.break", r.String(), "-sim.seeds", enough).CombinedOutput()
			if err == nil {
				t.Fatalf("with %s switched off %s seeds of each shape passed", r, enough)
			}
			// Log the first line that tells what the simulation found.
			telling := []string{"seed ", "I1:", "I2:", "I3:", "not equal", "not whole", "panic:"}
			for line := range strings.Lines(string(out)) {
				if slices.ContainsFunc(telling, func(part string) bool { return strings.Contains(line, part) }) {
					t.Log(strings.TrimSpace(line))
					break
				}
			}
		})
	}
}

// gate runs a directed test twice. The test must pass while the rule holds, and fail once the rule
// is switched off.
func gate(t *testing.T, r rule.Rule, dir, test string) {
	t.Helper()
	for _, off := range []string{"", r.String()} {
		cmd := exec.Command("go", "test", "-tags", "mutation", "-count", "1", "-v", "-run", "^"+test+"$", ".")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), rule.Variable+"="+off)
		out, err := cmd.CombinedOutput()
		failed := strings.Contains(string(out), "--- FAIL: "+test)
		if !failed && !strings.Contains(string(out), "--- PASS: "+test) {
			t.Fatalf("%s did not run: %v\n%s", test, err, out)
		}
		if failed != (off != "") {
			t.Fatalf("%s with %q switched off: failed is %v\n%s", test, off, failed, out)
		}
	}
}
