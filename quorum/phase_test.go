package quorum

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// The transcripts of testdata/phase drive a phase by hand. Members are letters. Each command prints
// the phase, its verdict, and "look" if the request has to look at it:
//
//	phase need=N voters=MEMBERS [holders=MEMBERS]
//	                    begins a phase, whose record the holders have already
//	STATUS MEMBERS      the members' calls end with a status
//	names MEMBER of=MEMBERS
//	                    the member's answer names others, which the phase heeds
//	stuck MEMBER        the member's answer names somebody who cannot answer
//	alone MEMBER vouchers=N
//	                    the record was written without asking, by the member
//	vouches MEMBERS     the members' answers vouch for the record
//	doubts MEMBERS      they do not
func TestPhaseTranscripts(t *testing.T) {
	statuses := map[string]Status{"failed": Failed, "ok": OK, "same": Same, "nack": Nack, "missing": Missing, "stale": Stale, "open": Open}
	datadriven.Walk(t, "testdata/phase", func(t *testing.T, file string) {
		var p phase
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			var need int
			if d.HasArg("need") {
				d.ScanArgs(t, "need", &need)
			}
			looks := ""
			status, isStatus := statuses[d.Cmd]
			switch {
			case d.Cmd == "phase":
				var voters, holders string
				d.ScanArgs(t, "voters", &voters)
				if d.HasArg("holders") {
					d.ScanArgs(t, "holders", &holders)
				}
				p = newPhase(need, lettered(voters), lettered(holders))
			case d.Cmd == "names":
				var of string
				d.ScanArgs(t, "of", &of)
				p.naming, p.awaits[member(d)] = true, lettered(of)
			case d.Cmd == "stuck":
				p.naming = true
				p.stuck.add(member(d))
			case d.Cmd == "alone":
				d.ScanArgs(t, "vouchers", &p.vouchers)
				p.self = member(d)
			case d.Cmd == "vouches" || d.Cmd == "doubts":
				for m := range MaxMembers {
					if lettered(d.CmdArgs[0].Key).has(m) {
						p.vouch(m, d.Cmd == "vouches")
					}
				}
			case isStatus:
				for _, letter := range d.CmdArgs[0].Key {
					if p.reply(int(letter-'a'), status) {
						looks = ", look"
					}
				}
			default:
				d.Fatalf(t, "command %q", d.Cmd)
			}
			return fmt.Sprintf("%v: %v%s\n", p, p.verdict(), looks)
		})
	})
}

// member returns the member that a command is about.
func member(d *datadriven.TestData) int { return int(d.CmdArgs[0].Key[0] - 'a') }

// lettered returns a set of members that are named by letters.
func lettered(letters string) (s memberSet) {
	for _, l := range letters {
		s.add(int(l - 'a'))
	}
	return s
}

func (v verdict) String() string { return [...]string{"pending", "met", "over", "impossible"}[v] }
