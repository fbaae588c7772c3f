package cli

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

func TestCommandsOverTLS(t *testing.T) {
	dir := t.TempDir()
	wants(t, 0, "node.crt", cli(t, "", "certs", "--dir", dir, "--hosts", "10.0.0.7,kv.example.com", "node", "operator"))
	in := func(name string) string { return filepath.Join(dir, name) }
	p := viakvtest.Start(t, "serve", "--name", "lone", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0", "--log-format", "json",
		"--tls-cert", in("node.crt"), "--tls-key", in("node.key"), "--tls-client-ca", in("ca.crt"))
	address := p.Listens()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	node := net.JoinHostPort("localhost", port)
	secured := func(endpoint string, args ...string) result {
		return ask(t, endpoint, append(args, "--tls-ca", in("ca.crt"), "--tls-cert", in("operator.crt"), "--tls-key", in("operator.key"))...)
	}
	viakvtest.Await(t, "the node to be ready", func() bool { return secured(node, "is", "k").code == exitMissing })
	wants(t, 0, "stored", secured(node, "set", "k", "v"))
	wants(t, 0, "v\n", secured("https://"+node, "get", "k"))
	wants(t, 0, "v\n", secured("https://"+address, "get", "k")) // by its address
	wants(t, exitUnavailable, "certificate", ask(t, "https://"+node, "get", "k"))
	wants(t, exitUnavailable, "", ask(t, node, "get", "k", "--tls-ca", in("ca.crt")))

	if err := os.WriteFile(in("empty"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, exitUsage, "no certificate in it", ask(t, node, "get", "k", "--tls-ca", in("empty")))
}
