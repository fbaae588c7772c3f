package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// namespacesWanted makes the tests that need mount namespaces fail instead of skip, where the
// system does not provide them.
const namespacesWanted = "VIAKV_TEST_NAMESPACES"

// ownMounts starts a command in a mount namespace of its own, as root or in a user namespace in
// which it is root.
func ownMounts() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		a.Cloneflags = syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// mountHosts returns a command that replaces /etc/hosts with another file.
func mountHosts(file string) string { return fmt.Sprintf("mount --bind '%s' /etc/hosts", file) }

// needNamespaces skips the test if the system does not let it mount. Where namespaces are wanted,
// it fails the test.
func needNamespaces(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte("127.0.0.1 localhost\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", mountHosts(file))
	cmd.SysProcAttr = ownMounts()
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv(namespacesWanted) != "" {
			t.Fatalf("no mount namespaces here: %v: %s", err, out)
		}
		t.Skipf("no mount namespaces here: %v: %s", err, out)
	}
}

// neighbour is a node with a hosts file of its own, which has the names and addresses that the node
// knows.
type neighbour struct {
	*viakvtest.Process
	name, ip, http string
	hosts          string
}

// peer returns the address at which the node listens for other nodes.
func (n *neighbour) peer(port string) string { return net.JoinHostPort(n.ip, port) }

// knows writes what the node's resolver answers: lines of an address and a name.
func (n *neighbour) knows(t *testing.T, lines ...string) {
	t.Helper()
	if err := os.WriteFile(n.hosts, []byte("127.0.0.1 localhost\n"+strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (n *neighbour) boot(t *testing.T, port string, args ...string) {
	t.Helper()
	cmd := viakvtest.CommandBehind(t, mountHosts(n.hosts), append([]string{"serve", "--name", n.name, "--http", n.http, "--peer", n.peer(port),
		"--drain", "10ms", "--log-format", "json"}, args...)...)
	cmd.SysProcAttr = ownMounts()
	n.Process = viakvtest.Launch(t, cmd)
}

// neighbours returns nodes at different loopback addresses, and one port that is free at all of
// them. With mixed the last node has an IPv6 address.
func neighbours(t *testing.T, mixed bool, names ...string) (nodes []*neighbour, port string) {
	t.Helper()
	dir := t.TempDir()
	for i, name := range names {
		ip, _, err := net.SplitHostPort(viakvtest.FreeAddress(t))
		if err != nil {
			t.Fatal(err)
		}
		if mixed && i == len(names)-1 {
			ip = "::1"
		}
		nodes = append(nodes, &neighbour{name: name, ip: ip, http: viakvtest.FreeAddress(t), hosts: filepath.Join(dir, name)})
	}
	viakvtest.Await(t, "a port that is free at all addresses", func() bool {
		_, free, err := net.SplitHostPort(viakvtest.FreeAddress(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			l, err := net.Listen("tcp", n.peer(free))
			if err != nil {
				return false
			}
			defer func() { _ = l.Close() }()
		}
		port = free
		return true
	})
	return nodes, port
}

// oneCluster waits until all nodes are ready and each shows all of them as members of one cluster.
// A node that is ready has adopted the topology in which it is a member; the other nodes may adopt
// it a moment later.
func oneCluster(t *testing.T, nodes ...*neighbour) {
	t.Helper()
	m := &mesh{t: t, nodes: map[string]*member{}}
	for _, n := range nodes {
		m.nodes[n.name] = &member{Process: n.Process, name: n.name, http: n.http}
		m.ready(n.name)
	}
	want := m.cluster(nodes[0].name).Cluster
	for _, n := range nodes {
		viakvtest.Await(t, fmt.Sprintf("%s to show %d members of cluster %s", n.name, len(nodes), want), func() bool {
			s := m.cluster(n.name)
			return s.Cluster == want && s.N == len(nodes)
		})
	}
}

// One name stands for all nodes, and each node's resolver lists that node first, as a round-robin
// name server may do.
func TestNamespacesOneSeedNameForAllNodes(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, mixed := range []bool{false, true} {
		t.Run(fmt.Sprintf("mixed families %v", mixed), func(t *testing.T) {
			if l, err := net.Listen("tcp", "[::1]:0"); err != nil && mixed {
				t.Skip(err)
			} else if err == nil {
				_ = l.Close()
			}
			nodes, port := neighbours(t, mixed, "n1", "n2", "n3")
			for i, n := range nodes {
				var lines []string
				for _, o := range slices.Concat(nodes[i:], nodes[:i]) {
					lines = append(lines, o.ip+" all")
				}
				n.knows(t, lines...)
				n.boot(t, port, "--seeds", "all:"+port)
			}
			oneCluster(t, nodes...)
		})
	}
}

// A node advertises a name that leads to another node first.
func TestNamespacesAnAdvertisedNameThatLeadsToAnotherNode(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	nodes, port := neighbours(t, false, "n1", "n2", "n3", "n4")
	seeds := []string{"--seeds", nodes[0].peer(port) + "," + nodes[1].peer(port)}
	for _, n := range nodes {
		n.knows(t, nodes[1].ip+" two", nodes[2].ip+" two")
	}
	for _, n := range nodes[:2] {
		n.boot(t, port, seeds...)
	}
	oneCluster(t, nodes[:2]...)
	n3 := nodes[2]
	n3.boot(t, port, append(seeds, "--advertise-peer", "two:"+port)...)
	viakvtest.Await(t, "n3 to say what is wrong", func() bool {
		status, body := viakvtest.Fetch(t, n3.http, "/readyz")
		return status == 503 && strings.Contains(body, "n2 answers at two:"+port)
	})
	n3.Line("n2 answers at two:" + port)
	// A join by request gets an error that says so, and the node stays what it was.
	n4 := nodes[3]
	n4.boot(t, port, "--advertise-peer", "two:"+port)
	viakvtest.AwaitStatus(t, 200, n4.http, "/readyz")
	viakvtest.Expect(t, 200, "", n4.http, "/set", "k", "k", "v", "own")
	if status, body := viakvtest.Fetch(t, n4.http, "/join", "peer", nodes[0].peer(port)); status != 502 || !strings.Contains(body, "n2 answers at two:"+port) {
		t.Errorf("/join: %d %s", status, body)
	}
	viakvtest.Expect(t, 200, "own", n4.http, "/get", "k", "k")
	if s := (&mesh{t: t, nodes: map[string]*member{"n1": {http: nodes[0].http}}}).cluster("n1"); s.Epoch != 1 || len(s.Members) != 2 {
		t.Errorf("the cluster has changed: %+v", s)
	}
	// Once the name leads to n3, n3 is admitted.
	for _, n := range nodes {
		n.knows(t, n3.ip+" two")
	}
	oneCluster(t, nodes[:3]...)
}
