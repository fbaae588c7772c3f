//go:build compose

package e2e

import (
	"testing"
	"time"

	"viakv/cmd/viakv/viakvtest"
)

// onDatabase starts a profile's database, nodes and Envoy by one command.
func onDatabase(t *testing.T, profile, port string) *stack {
	t.Helper()
	s, _ := newStack(t)
	free := freePort(t)
	t.Setenv(port, free)
	s.proxy = "127.0.0.1:" + free
	s.up("--profile", profile, "up", "-d", profile+"-envoy")
	// Compose has started Envoy only after all else was healthy.
	viakvtest.AwaitStatus(t, 200, s.proxy, "/readyz")
	if nodes := s.containers(profile + "-node"); len(nodes) != 3 {
		t.Fatalf("the nodes %q", nodes)
	}
	return s
}

// holds checks what every profile must do, whatever the database.
func (s *stack) holds(database string) {
	t := s.t
	t.Helper()
	viakvtest.Expect(t, 200, "", s.proxy, "/set", "k", "color", "v", "green")
	viakvtest.Expect(t, 200, "green", s.proxy, "/get", "k", "color")
	viakvtest.Expect(t, 200, "", s.proxy, "/set", "k", "gone", "v", "")
	viakvtest.Expect(t, 200, "", s.proxy, "/rm", "k", "gone")
	viakvtest.Expect(t, 404, "", s.proxy, "/is", "k", "gone")
	viakvtest.Expect(t, 409, "", s.proxy, "/join", "peer", "node-a:9080")
	viakvtest.Expect(t, 200, `{"color":"green"}`, s.proxy, "/getAll")
	if ports := s.inspect(database+"-envoy", "{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}}{{end}}{{end}}"); ports != "127.0.0.1" {
		t.Errorf("Envoy is published on %q", ports)
	}

	t.Log("the database is killed and comes back")
	s.run("docker", "kill", s.container(database))
	viakvtest.AwaitStatus(t, 503, s.proxy, "/getAll")
	s.run("docker", "start", s.container(database))
	viakvtest.Await(t, "the key to be read again", func() bool {
		code, body := viakvtest.Fetch(t, s.proxy, "/get", "k", "color")
		return code == 200 && body == "green"
	})
	// One node was enough for that. Before a node is killed, the other nodes must be ready again,
	// too: first by their own answer, then for Envoy. Envoy checks every half second and needs some
	// seconds more.
	for _, id := range s.containers(database + "-node") {
		viakvtest.Await(t, "every node to be ready again", func() bool {
			_, err := s.try("docker", "exec", id, "/viakv", "health", "--http", "127.0.0.1:8080")
			return err == nil
		})
	}
	time.Sleep(3 * time.Second)
}

func TestComposeCockroach(t *testing.T) {
	s := onDatabase(t, "cockroach", "COCKROACH_PORT")
	s.holds("cockroach")

	t.Log("a node is killed")
	l := startLoad(t, s.proxy)
	l.progress(200)
	s.run("docker", "kill", s.containers("cockroach-node")[1])
	l.progress(500)
	l.stop()
	l.wantFailures(1)

	t.Log("two more nodes")
	s.run(s.composed("up", "-d", "--scale", "cockroach-node=5", "cockroach-node")...)
	if nodes := s.containers("cockroach-node"); len(nodes) != 5 {
		t.Fatalf("the nodes %q", nodes)
	}
	viakvtest.Expect(t, 200, "green", s.proxy, "/get", "k", "color")
}

func TestComposeMongo(t *testing.T) {
	s := onDatabase(t, "mongo", "MONGO_PORT")
	s.holds("mongo")

	t.Log("a node is killed")
	s.run("docker", "kill", s.containers("mongo-node")[1])
	for range 20 {
		viakvtest.Expect(t, 200, "green", s.proxy, "/get", "k", "color")
	}
}
