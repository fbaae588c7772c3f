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
	} {
		cmd := root("test")
		cmd.SetArgs([]string{"serve", "--http", "127.0.0.1:0", "--log-level", "error", "--store", url})
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want one that says %q and shows no password", strings.ReplaceAll(url, "hunter2", "…"), err, want)
		}
	}
}

func TestAStoreIsNotQuoted(t *testing.T) {
	cmd := root("test")
	cmd.SetArgs([]string{"serve", "--http", "127.0.0.1:0", "--store", "postgers://admin:hunter2@db/kv"})
	if err := cmd.Execute(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v: want one without the password", err)
	}
}
