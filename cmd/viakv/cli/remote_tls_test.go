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
	secure := []string{"--tls-ca", in("ca.crt"), "--tls-cert", in("operator.crt"), "--tls-key", in("operator.key")}
	viakvtest.Await(t, "the node to be ready", func() bool { return cli(t, "", append(at(node, "is", "k"), secure...)...).code == exitMissing })
	wants(t, 0, "stored", cli(t, "", append(at(node, "set", "k", "v"), secure...)...))
	wants(t, 0, "v\n", cli(t, "", append(at("https://"+node, "get", "k"), secure...)...))
	wants(t, 0, "v\n", cli(t, "", append(at("https://"+address, "get", "k"), secure...)...)) // by its address
	wants(t, exitUnavailable, "certificate", cli(t, "", at("https://"+node, "get", "k")...))
	wants(t, exitUnavailable, "", cli(t, "", at(node, "get", "k", "--tls-ca", in("ca.crt"))...))

	if err := os.WriteFile(in("empty"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, exitUsage, "no certificate in it", cli(t, "", at(node, "get", "k", "--tls-ca", in("empty"))...))
}
