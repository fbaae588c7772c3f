//go:build mutation

package rule

import "os"

// Variable is the environment variable that names the rule to be switched off: so any test binary can be run without it.
const Variable = "VIAKV_BREAK"

func init() { off = Named(os.Getenv(Variable)) }

// off is the rule that is switched off. It is set once, before anything runs.
var off Rule

// Break switches a rule off for the life of the process.
func Break(r Rule) { off = r }

// Broken reports whether a rule is switched off.
func Broken(r Rule) bool { return off == r }
