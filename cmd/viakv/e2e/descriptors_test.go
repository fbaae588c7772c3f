package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"viakv/api/document"
	"viakv/cmd/cliutil"
	"viakv/cmd/viakv/viakvtest"
)

// withFewFiles starts viakv with a limit of 64 open files.
func withFewFiles(t *testing.T) func(args ...string) *viakvtest.Process {
	return func(args ...string) *viakvtest.Process {
		return viakvtest.Launch(t, viakvtest.CommandBehind(t, "ulimit -n 64", args...))
	}
}

// noneRanOut checks that no node had too few descriptors at any time.
func (m *mesh) noneRanOut() {
	m.t.Helper()
	for _, n := range m.names {
		for _, l := range m.nodes[n].Lines() {
			if strings.Contains(l, "too many open files") {
				m.t.Errorf("%s ran out of descriptors: %s", n, l)
			}
		}
	}
}

// Idle clients use up the share of the clients and nothing else. No node ends or loses its peers,
// and a member that was killed meanwhile is admitted again. A node tells load balancers that it can
// take no more connections.
func TestIdleClientsUseUpNothingButTheirShare(t *testing.T) {
	t.Parallel()
	m := formed(&mesh{t: t, start: withFewFiles(t)}, "a", "b", "c")
	on := map[string]*kept{}
	var stops []func()
	for _, n := range m.names {
		m.nodes[n].Line("lowered to what the limit of open files leaves room for")
		on[n] = keep(t, m.nodes[n].http)
		on[n].expect(200, "/set?k=of-"+n+"&v="+n)
		stops = append(stops, flood(t, m.nodes[n].http, 100))
	}
	full := func(name string) {
		t.Helper()
		var detail string
		viakvtest.Await(t, name+" to say that it is full", func() bool {
			status, body := on[name].ask("/readyz")
			detail = body
			return status == 503
		})
		if !strings.Contains(detail, "the limit of 64 open files") {
			t.Errorf("%s says only: %s", name, detail)
		}
	}
	for _, n := range m.names {
		full(n)
	}
	for i := range 100 {
		for _, n := range m.names {
			on[n].expect(200, fmt.Sprintf("/set?k=k%d&v=%s", i, n))
			on[n].expect(200, fmt.Sprintf("/get?k=k%d", i))
		}
	}
	// The reserve is there for peers, in both directions.
	m.kill("c")
	m.boot("c")
	m.nodes["c"].Line("lowered")
	whole := func(name string) bool {
		var s document.Status
		if err := json.Unmarshal([]byte(on[name].expect(200, "/cluster")), &s); err != nil {
			t.Fatal(err)
		}
		for _, member := range s.Members {
			if member.State != "active" || !member.Reachable {
				return false
			}
		}
		return len(s.Members) == 3
	}
	viakvtest.Await(t, "c to be rebuilt and reached", func() bool {
		on["a"].expect(200, "/set?k=meanwhile&v=1")
		on["b"].expect(200, "/get?k=meanwhile")
		return whole("a") && whole("b")
	})
	for _, stop := range stops {
		stop()
	}
	for _, n := range m.names {
		m.ready(n)
		for _, of := range m.names {
			m.want(n, "of-"+of, of)
		}
	}
	body := m.ask("a", 200, "/metrics")
	for _, want := range []string{"\nviakv_http_connections_limit 27\n", "\nprocess_max_fds 64\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
	m.noneRanOut()
}

// Strangers at the peer port, which send nothing, use up nothing either.
func TestStrangersAtThePeerPortUseUpNothing(t *testing.T) {
	m := formed(&mesh{t: t, start: withFewFiles(t)}, "a", "b", "c")
	for _, n := range m.names {
		flood(t, m.nodes[n].peer, 60)
	}
	for i := range 100 {
		for _, n := range m.names {
			m.set(n, fmt.Sprint("k", i), n)
		}
	}
	m.kill("b")
	m.back("b")
	m.want("b", "k99", "c")
	m.noneRanOut()
}

func TestTooFewDescriptorsForANode(t *testing.T) {
	p := viakvtest.Launch(t, viakvtest.CommandBehind(t, "ulimit -n 24", "serve", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0"))
	p.Exits(cliutil.ExitFailed)
	p.Line("raise it to")
}
