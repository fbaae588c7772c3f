package advice

import (
	"fmt"
	"slices"
	"strings"

	"viakv/api/health"
)

// Next says what to do about a verdict, with the command to type. It returns an empty string when
// nothing is to be done. http is the address of the node whose verdict it is.
func Next(v *health.Verdict, http string) string {
	lost, away := strings.Join(v.Lost, ", "), strings.Join(v.Away, ", ")
	switch {
	case v.Outside || v.N == 0 || v.Level == health.Serving:
		return ""
	case v.CanRead && len(v.Full) > 0:
		return "remove keys, clear, or raise --max-memory at " + strings.Join(v.Full, ", ")
	case v.CanWrite && len(v.Gone) > 0:
		return fmt.Sprintf("start %s again: it rebuilds by itself; if it is gone for good, `viakv member leave %s`", strings.Join(v.Gone, ", "), v.Gone[0])
	case v.CanWrite && len(v.Away) > 0:
		return "bring " + away + " back into reach, or start again what has ended: it rebuilds by itself"
	case v.CanWrite:
		return "wait for the rebuild of " + lost + ": `viakv member list` shows how far it is"
	case v.Led && len(v.Away) == 0 && v.Answering >= v.CopiesNeed:
		return "wait: " + lost + " will be let in, and rebuild"
	}
	var steps []string
	if len(v.Away) > 0 {
		steps = append(steps, "bring "+away+" back into reach, without a restart if possible: a process that still runs has kept its memory")
		if v.CanRead {
			return steps[0]
		}
	}
	return strings.Join(append(steps, force(v, http)), "; otherwise ")
}

// force says how to go on without a member that is lost or away.
func force(v *health.Verdict, http string) string {
	at := ""
	if http != "" {
		at = " --endpoints " + http
	}
	name := append(slices.Clone(v.Lost), v.Away...)[0]
	leave := fmt.Sprintf("`viakv member leave %s --force%s` goes on without %[1]s, and says what that may lose; docs/majority-lost.md has all steps", name, at)
	if v.N > v.W { // otherwise each read checks with every member
		leave = "`viakv export FILE --r 1" + at + "` copies what this node holds; after that " + leave
	}
	return leave
}
