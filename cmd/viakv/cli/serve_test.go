package cli

import (
	"strings"
	"testing"
)

func TestTheSchemeNamesTheDatabase(t *testing.T) {
	for url, want := range map[string]string{
		"mongodb://user:hunter2@127.0.0.1:1":        "mongodb://user:password@host:port/database",
		"mongodb+srv://user:hunter2@":               "mongodb://user:password@host:port",
		"postgres://user:hunter2@127.0.0.1:x/kv":    "postgres://",
		"postgresql://user:hunter2@127.0.0.1:-1/kv": "postgres://",
		// This one is misspelt, and therefore not quoted.
		"postgers://admin:hunter2@db/kv": "--store: want memory",
	} {
		r := cli(t, "", "serve", "--http", "127.0.0.1:0", "--log-level", "error", "--store", url)
		if r.code == 0 || !strings.Contains(r.all, want) || strings.Contains(r.all, "hunter2") {
			t.Errorf("%s: %s, want a refusal that says %q and shows no password", strings.ReplaceAll(url, "hunter2", "…"), r.all, want)
		}
	}
}
