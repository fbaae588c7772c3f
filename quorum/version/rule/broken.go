//go:build mutation

package rule

import "os"

// Variable is the environment variable that names the rule to be switched off. With it any test
// binary built with the tag can run without that rule.
const Variable = "VIAKV_BREAK"

func init() { off = Named(os.Getenv(Variable)) }

// off is the rule that is switched off, None for no rule. It is set before anything runs.
var off Rule

// Break switches a rule off until the process ends. The rule that was switched off before holds
// again.
func Break(r Rule) { off = r }

// Broken reports whether a rule is switched off.
func Broken(r Rule) bool { return off == r }

// Named returns the rule of that name, or None when no rule has it.
func Named(name string) Rule {
	for i, n := range names {
		if n == name {
			return Rule(i)
		}
	}
	return None
}

// All returns the rules that have a switch.
func All() (all []Rule) {
	for r := None + 1; r < end; r++ {
		all = append(all, r)
	}
	return all
}
