package discovery

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/encoding/protojson"

	"viakv/api/kv"
)

// fixture is a Service over a node whose knowledge the test sets.
type fixture struct {
	*Service
	t      *testing.T
	status kv.Status
	ready  error
	names  map[string][]netip.Addr
	asked  int
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, names: map[string][]netip.Addr{}}
	f.status = kv.Status{Mode: "mesh", Cluster: "c1", Epoch: 7, Members: []kv.Member{
		{Name: "b", State: "active", HTTP: "127.0.0.2:80"}, {Name: "a", State: "active", HTTP: "127.0.0.1:80"},
		{Name: "r", State: "rebuilding", HTTP: "127.0.0.3:80"}, {Name: "j", State: "joining", HTTP: "127.0.0.4:80"}, {Name: "v", State: "vacant", HTTP: "127.0.0.5:80"},
	}}
	f.Service = New(Config{Status: func() kv.Status { return f.status }, Ready: func(context.Context) error { return f.ready }})
	f.addresses.refresh = time.Hour
	f.addresses.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		f.asked++
		if found, ok := f.names[host]; ok {
			return found, nil
		}
		return nil, errors.New("no such host")
	}
	return f
}

// ask sends a request as Envoy does and returns the status with the answer.
func (f *fixture) ask(request *discoveryv3.DiscoveryRequest) (int, *discoveryv3.DiscoveryResponse) {
	f.t.Helper()
	var body []byte
	if request != nil {
		var err error
		if body, err = protojson.Marshal(request); err != nil {
			f.t.Fatal(err)
		}
	}
	return f.post(body)
}

func (f *fixture) post(body []byte) (int, *discoveryv3.DiscoveryResponse) {
	f.t.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.SetBody(body)
	f.Handle(&ctx)
	if ctx.Response.StatusCode() != 200 {
		return ctx.Response.StatusCode(), nil
	}
	out := new(discoveryv3.DiscoveryResponse)
	if err := protojson.Unmarshal(ctx.Response.Body(), out); err != nil {
		f.t.Fatal(err)
	}
	return 200, out
}

// endpoints unpacks an answer into lines of the form "name: member@address ...", one for each
// resource.
func (f *fixture) endpoints(r *discoveryv3.DiscoveryResponse) (out []string) {
	f.t.Helper()
	for _, packed := range r.GetResources() {
		var a endpointv3.ClusterLoadAssignment
		if err := packed.UnmarshalTo(&a); err != nil {
			f.t.Fatal(err)
		}
		if err := a.ValidateAll(); err != nil {
			f.t.Error(err)
		}
		line := a.GetClusterName() + ":"
		for _, e := range a.GetEndpoints()[0].GetLbEndpoints() {
			s := e.GetEndpoint().GetAddress().GetSocketAddress()
			line += " " + e.GetEndpoint().GetHostname() + "@" + netip.AddrPortFrom(netip.MustParseAddr(s.GetAddress()), uint16(s.GetPortValue())).String()
		}
		out = append(out, line)
	}
	return out
}

func (f *fixture) want(lines ...string) (version string) {
	f.t.Helper()
	status, r := f.ask(&discoveryv3.DiscoveryRequest{ResourceNames: []string{"members"}, TypeUrl: typeURL})
	if got := f.endpoints(r); status != 200 || strings.Join(got, "\n") != strings.Join(lines, "\n") {
		f.t.Fatalf("%d %q, want %q", status, got, lines)
	}
	return r.GetVersionInfo()
}

func TestOnlyActiveMembersAreListed(t *testing.T) {
	f := newFixture(t)
	first := f.want("members: a@127.0.0.1:80 b@127.0.0.2:80")
	f.status.Members[2].State = "active"
	f.status.Epoch++
	if second := f.want("members: a@127.0.0.1:80 b@127.0.0.2:80 r@127.0.0.3:80"); second == first {
		t.Errorf("the version stayed %s", first)
	}
	// A proxy may ask for several names, or for none.
	_, r := f.ask(&discoveryv3.DiscoveryRequest{ResourceNames: []string{"x", "y"}})
	if got := f.endpoints(r); len(got) != 2 || !strings.HasPrefix(got[0], "x: a@") || !strings.HasPrefix(got[1], "y: a@") {
		t.Errorf("%q", got)
	}
	if _, r = f.ask(nil); !strings.HasPrefix(f.endpoints(r)[0], "viakv: a@") {
		t.Errorf("%q", f.endpoints(r))
	}
}

func TestANodeThatIsNotReadyIsSilent(t *testing.T) {
	f := newFixture(t)
	f.ready = errors.New("rebuilding")
	if status, _ := f.ask(nil); status != 503 {
		t.Error(status)
	}
	f.ready = nil
	f.status.Mode = "postgres"
	if status, _ := f.ask(nil); status != 503 {
		t.Error("a node on a database answered with a list of members:", status)
	}
}

func TestAnswersNeverGoBack(t *testing.T) {
	f := newFixture(t)
	held := f.want("members: a@127.0.0.1:80 b@127.0.0.2:80")
	is := func(want int, version, why string) {
		t.Helper()
		if got, _ := f.ask(&discoveryv3.DiscoveryRequest{VersionInfo: version}); got != want {
			t.Errorf("%s: %d, want %d", why, got, want)
		}
	}
	is(304, held, "nothing is new")
	f.status.Members = f.status.Members[1:]
	is(200, held, "a member is gone")
	f.status.Epoch = 6
	is(304, held, "this node is behind")
	is(200, "", "the proxy has just started")
	is(200, "c1/what/0", "a version of somebody else")
	is(200, "7", "a version of somebody else")
	f.status.Cluster = "c2"
	is(200, held, "the cluster was founded anew")
}

func TestNamesAreResolvedAndKept(t *testing.T) {
	f := newFixture(t)
	f.status.Members = []kv.Member{{Name: "a", State: "active", HTTP: "node-a:80"}, {Name: "b", State: "active", HTTP: "node-b:80"}}
	f.names["node-a"] = []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.9"), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("10.0.0.10")}
	first := f.want("members: a@10.0.0.9:80") // the name server does not know node-b
	f.names["node-b"] = []netip.Addr{netip.MustParseAddr("fd00::2")}
	if second := f.want("members: a@10.0.0.9:80 b@[fd00::2]:80"); second == first {
		t.Error("an address came, and the version stayed")
	}
	asked := f.asked
	f.want("members: a@10.0.0.9:80 b@[fd00::2]:80")
	if f.asked != asked {
		t.Errorf("%d questions to the name server, want none", f.asked-asked)
	}

	f.addresses.refresh = 0 // every address is too old from here on
	f.names["node-a"] = []netip.Addr{netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("10.0.0.9")}
	f.want("members: a@10.0.0.9:80 b@[fd00::2]:80") // the old address is still there: no reason to move
	f.names["node-a"] = []netip.Addr{netip.MustParseAddr("10.0.0.4"), netip.MustParseAddr("10.0.0.3")}
	f.want("members: a@10.0.0.3:80 b@[fd00::2]:80")
	clear(f.names)
	f.want("members: a@10.0.0.3:80 b@[fd00::2]:80") // the name server knows no name: the last addresses stay
	f.names["node-a"] = []netip.Addr{}
	f.want("members: a@10.0.0.3:80 b@[fd00::2]:80")
}

func TestAddressesThatAreNone(t *testing.T) {
	f := newFixture(t)
	for _, http := range []string{"", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:http", "127.0.0.1:70000", "nowhere:80"} {
		f.status.Members = []kv.Member{{Name: "a", State: "active", HTTP: http}}
		if status, _ := f.ask(nil); status != 503 {
			t.Errorf("%q: %d, want 503 rather than an empty list", http, status)
		}
	}
}

func TestTheNamesKeptAreBounded(t *testing.T) {
	f := newFixture(t)
	for i := range 2 * maxNames {
		host := "n" + strings.Repeat("x", i)
		f.names[host] = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
		if _, err := f.addresses.of(t.Context(), host); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.addresses.known); n != maxNames {
		t.Errorf("%d names are kept, want %d", n, maxNames)
	}
}

func TestRequestsThatAreNotOurs(t *testing.T) {
	f := newFixture(t)
	for name, body := range map[string]string{
		"no JSON":        `node=a`,
		"another shape":  `{"resource_names": 1}`,
		"another type":   `{"type_url": "type.googleapis.com/envoy.config.cluster.v3.Cluster"}`,
		"too many names": `{"resource_names": ["x"` + strings.Repeat(`, "x"`, maxNamesAsked) + `]}`,
	} {
		if status, _ := f.post([]byte(body)); status != 400 {
			t.Errorf("%s: %d, want 400", name, status)
		}
	}
	if status, _ := f.post([]byte(`{"of a later version": true, "node": {"id": "e", "what": 1}}`)); status != 200 {
		t.Error("an unknown field was refused:", status)
	}
	// Names are the proxy's own choice, even odd ones.
	name := `"}, {`
	if _, r := f.ask(&discoveryv3.DiscoveryRequest{ResourceNames: []string{name}}); !strings.HasPrefix(f.endpoints(r)[0], name) {
		t.Errorf("%q", f.endpoints(r))
	}
}

func TestADefaultServiceAsksTheSystem(t *testing.T) {
	s := New(Config{})
	ip, err := s.addresses.of(t.Context(), "localhost")
	if err != nil || !ip.IsLoopback() {
		t.Errorf("localhost is %v, %v", ip, err)
	}
}
