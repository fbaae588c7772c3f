package advice

import (
	"fmt"
	"strings"

	"viakv/api/health"
)

// Next says what to do about a verdict, with the command to type. It returns an empty string when
// nothing is to be done. http is the address of the node whose verdict it is.
func Next(v *health.Verdict, http string) string {
	switch {
	case v.Outside || v.N == 0 || v.Level == health.Serving:
		return ""
	case v.CanRead && len(v.Full) > 0:
		return "remove keys, clear, or raise --max-memory at " + strings.Join(v.Full, ", ")
	case v.CanWrite && len(v.Gone) > 0:
		return fmt.Sprintf("start %s again: it rebuilds by itself; if it is gone for good, `viakv member leave %[1]s`", v.Gone[0])
	case v.CanWrite && len(v.Away) > 0:
		return fmt.Sprintf("bring %s back into reach; if its process has ended, start it again: it rebuilds by itself", strings.Join(v.Away, ", "))
	case v.CanWrite:
		return "wait until " + strings.Join(v.Lost, ", ") + " has rebuilt: `viakv member list` shows how far it is"
	}
	return unavailable(v, http)
}

// unavailable says what to do where too few members answer.
func unavailable(v *health.Verdict, http string) string {
	var steps []string
	if len(v.Away) > 0 {
		steps = append(steps, "bring "+strings.Join(v.Away, ", ")+" back into reach, without a restart if possible: a process that still runs has kept its memory")
	}
	if v.CanRead || len(v.Lost)+len(v.Away) == 0 {
		return strings.Join(steps, "; ")
	}
	if v.Led && len(v.Away) == 0 && v.Copies >= v.CopiesNeed {
		return "wait: " + strings.Join(v.Lost, ", ") + " will be let in, and rebuild"
	}
	at := ""
	if http != "" {
		at = " --endpoints " + http
	}
	remove := append(append([]string{}, v.Lost...), v.Away...)[0]
	leave := "`viakv member leave " + remove + " --force" + at + "` goes on without " + remove + ", and says what that may lose; docs/majority-lost.md has all steps"
	if v.N > v.W { // otherwise each read checks with every member
		leave = "`viakv export FILE --r 1" + at + "` copies what this node holds; after that " + leave
	}
	return strings.Join(append(steps, leave), "; otherwise ")
}
