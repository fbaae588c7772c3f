//go:build mutation

package rule

// off is the rule that is switched off. It is set once, before anything runs.
var off Rule

// Break switches a rule off for the life of the process.
func Break(r Rule) { off = r }

// Broken reports whether a rule is switched off.
func Broken(r Rule) bool { return off == r }
