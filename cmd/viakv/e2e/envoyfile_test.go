package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	connection "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	"viakv/cmd/viakv/viakvtest"
)

// proxy is the content of a configuration of Envoy.
type proxy struct {
	bootstrap *bootstrap.Bootstrap
	messages  []proto.Message // all messages, at any depth, those in an Any included
}

// retryConditions are the words that Envoy knows for retry_on. It ignores other words without an
// error.
var retryConditions = []string{"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx",
	"refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure"}

// readProxy decodes and checks a configuration as Envoy does. It also checks what Envoy finds out
// only with a request.
func readProxy(text []byte) (*proxy, error) {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	p := &proxy{bootstrap: new(bootstrap.Bootstrap)}
	if err := protojson.Unmarshal(asJSON, p.bootstrap); err != nil {
		return nil, err
	}
	if err := p.collect(p.bootstrap); err != nil {
		return nil, err
	}
	var errs []error
	known := map[string]bool{}
	for _, c := range p.bootstrap.GetStaticResources().GetClusters() {
		if known[c.GetName()] {
			errs = append(errs, fmt.Errorf("two clusters are called %s", c.GetName()))
		}
		known[c.GetName()] = true
	}
	for _, name := range p.clusters() {
		if !known[name] {
			errs = append(errs, fmt.Errorf("there is no cluster %q", name))
		}
	}
	for _, r := range all[*route.RetryPolicy](p) {
		for word := range strings.SplitSeq(r.GetRetryOn(), ",") {
			if !slices.Contains(retryConditions, word) {
				errs = append(errs, fmt.Errorf("retry_on: %q is no condition", word))
			}
		}
	}
	return p, errors.Join(errs...)
}

// collect walks a message, unpacks every Any and validates everything.
func (p *proxy) collect(m proto.Message) error {
	p.messages = append(p.messages, m)
	if v, ok := m.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	if packed, ok := m.(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			return err
		}
		return p.collect(inner)
	}
	var errs []error
	into := func(v protoreflect.Value) { errs = append(errs, p.collect(v.Message().Interface())) }
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { into(v); return true })
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				into(v.List().Get(i))
			}
		case !f.IsMap() && !f.IsList() && f.Message() != nil:
			into(v)
		}
		return true
	})
	return errors.Join(errs...)
}

// clusters returns the names of the clusters that something sends requests to.
func (p *proxy) clusters() (names []string) {
	for _, m := range p.messages {
		fields := m.ProtoReflect().Descriptor().Fields()
		if f := fields.ByName("cluster"); f != nil && f.Kind() == protoreflect.StringKind && m.ProtoReflect().Has(f) && m != proto.Message(p.bootstrap.GetNode()) {
			names = append(names, m.ProtoReflect().Get(f).String())
		}
		if f := fields.ByName("cluster_names"); f != nil {
			for l, i := m.ProtoReflect().Get(f).List(), 0; i < l.Len(); i++ {
				names = append(names, l.Get(i).String())
			}
		}
	}
	return names
}

// all returns the messages of a type.
func all[M proto.Message](p *proxy) (out []M) {
	for _, m := range p.messages {
		if of, ok := m.(M); ok {
			out = append(out, of)
		}
	}
	return out
}

func shippedProxy(t *testing.T) ([]byte, *proxy) {
	t.Helper()
	return readShipped(t, "envoy.yaml")
}

func readShipped(t *testing.T, path string) ([]byte, *proxy) {
	t.Helper()
	text := viakvtest.Shipped(t, path)
	p, err := readProxy(text)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return text, p
}

// cluster returns the file's cluster of a name.
func (p *proxy) cluster(t *testing.T, name string) *cluster.Cluster {
	t.Helper()
	for _, c := range p.bootstrap.GetStaticResources().GetClusters() {
		if c.GetName() == name {
			return c
		}
	}
	t.Fatalf("there is no cluster %s", name)
	return nil
}

func TestTheProxyIsConfiguredAsTheContractSays(t *testing.T) {
	_, p := shippedProxy(t)
	if a := p.bootstrap.GetAdmin().GetAddress().GetSocketAddress().GetAddress(); a != "127.0.0.1" {
		t.Errorf("the admin interface listens at %s", a)
	}
	for _, name := range []string{"members", "seeds"} {
		c := p.cluster(t, name)
		if panic := c.GetCommonLbConfig().GetHealthyPanicThreshold(); panic == nil || panic.GetValue() != 0 {
			t.Errorf("%s: in a panic it would ask nodes that are not ready", c.GetName())
		}
		if h := c.GetHealthChecks(); len(h) != 1 || h[0].GetHttpHealthCheck().GetPath() != "/readyz" {
			t.Errorf("%s: health checks %v", c.GetName(), h)
		}
		if c.GetLbPolicy() != cluster.Cluster_LEAST_REQUEST {
			t.Errorf("%s: %v", c.GetName(), c.GetLbPolicy())
		}
	}
	for _, c := range p.bootstrap.GetStaticResources().GetClusters() {
		//nolint:staticcheck // deprecated, but the shipped version reads it
		if c.GetType() == cluster.Cluster_STRICT_DNS && (c.GetRespectDnsTtl() || c.GetDnsRefreshRate().AsDuration().Seconds() > 5) {
			t.Errorf("%s: names are resolved too seldom", c.GetName())
		}
	}
	managers := all[*connection.HttpConnectionManager](p)
	if len(managers) != 1 {
		t.Fatalf("%d connection managers", len(managers))
	}
	if kb := managers[0].GetMaxRequestHeadersKb().GetValue(); kb < 12 {
		t.Errorf("%d KiB of headers: the longest legal request takes 12", kb)
	}

	// When the request of a path may be repeated, and how long it may take.
	for path, want := range map[string]struct{ reads, endless bool }{
		"/get": {true, false}, "/getMany": {true, false}, "/is": {true, false}, "/set": {}, "/rm": {}, "/clear": {},
		"/getAll": {false, true}, "/getKeys": {false, true}, "/getValues": {false, true}, "/setAll": {false, true}, "/join": {false, true}, "/leave": {false, true},
		"/reads": {false, true},
	} {
		action := routeOf(t, managers[0].GetRouteConfig().GetVirtualHosts()[0].GetRoutes(), path).GetRoute()
		retries := strings.Split(action.GetRetryPolicy().GetRetryOn(), ",")
		slices.Sort(retries)
		allowed := []string{"connect-failure", "reset-before-request", "retriable-headers"}
		if want.reads {
			allowed = []string{"connect-failure", "reset", "reset-before-request", "retriable-headers"}
		} else if action.GetRetryPolicy().GetPerTryTimeout() != nil {
			t.Errorf("%s would be sent again while the first node is still at it", path)
		}
		if !slices.Equal(retries, allowed) {
			t.Errorf("%s is retried on %v, want %v", path, retries, allowed)
		}
		if h := action.GetRetryPolicy().GetRetriableHeaders(); len(h) != 1 || h[0].GetName() != "X-Viakv-Retriable" || h[0].GetStringMatch().GetExact() != "true" {
			t.Errorf("%s is retried on the headers %v", path, h)
		}
		if d := action.GetTimeout(); d == nil || (d.AsDuration() == 0) != want.endless {
			t.Errorf("%s: time-out %v", path, d)
		}
	}
	if r := routeOf(t, managers[0].GetRouteConfig().GetVirtualHosts()[0].GetRoutes(), "/v3/discovery:endpoints"); r.GetDirectResponse().GetStatus() != 404 {
		t.Error("discovery is open to the proxy's clients")
	}
}

// Each node's console can be opened through the proxy. The proxy's own requests to nodes are not
// open to its clients.
func TestTheProxyLeadsToEachNode(t *testing.T) {
	_, p := shippedProxy(t)
	hosts := map[string]*route.VirtualHost{}
	for _, h := range all[*connection.HttpConnectionManager](p)[0].GetRouteConfig().GetVirtualHosts() {
		for _, d := range h.GetDomains() {
			hosts[d] = h
		}
	}
	for _, n := range []string{"node-a", "node-b", "node-c", "node-d", "node-e"} {
		endpoint := p.cluster(t, n).GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint().GetAddress().GetSocketAddress()
		if endpoint.GetAddress() != n || endpoint.GetPortValue() != 8080 {
			t.Errorf("%s is at %v", n, endpoint)
		}
		for _, domain := range []string{n + ".localhost", n + ".localhost:*"} {
			h := hosts[domain]
			if h == nil {
				t.Errorf("%s leads nowhere", domain)
				continue
			}
			if got := routeOf(t, h.GetRoutes(), "/console").GetRoute().GetCluster(); got != n {
				t.Errorf("%s leads to %s", domain, got)
			}
			if got := routeOf(t, h.GetRoutes(), "/v3/discovery:endpoints").GetDirectResponse().GetStatus(); got != 404 {
				t.Errorf("%s: discovery is open to the proxy's clients", domain)
			}
		}
	}
}

// The proxy of the nodes on a database asks other nodes. It differs in nothing else.
func TestTheDatabasesProxyIsTheSameButForTheNodes(t *testing.T) {
	_, mesh := shippedProxy(t)
	_, stateless := readShipped(t, "docs/databases/envoy.yaml")
	routes := func(p *proxy) *route.RouteConfiguration {
		return all[*connection.HttpConnectionManager](p)[0].GetRouteConfig()
	}
	if got := routes(stateless).GetVirtualHosts(); len(got) != 1 || got[0].GetName() != "all" {
		t.Fatalf("its hosts: %v", got)
	}
	members, want := stateless.cluster(t, "members"), mesh.cluster(t, "members")
	//nolint:staticcheck // deprecated, but the shipped version reads it
	if members.GetType() != cluster.Cluster_STRICT_DNS || members.GetRespectDnsTtl() || members.GetDnsRefreshRate().AsDuration().Seconds() > 5 {
		t.Errorf("names are resolved too seldom: %v", members)
	}
	// Make equal what must differ. Then nothing may differ.
	expected := proto.Clone(want).(*cluster.Cluster)
	expected.EdsClusterConfig = nil
	expected.ClusterDiscoveryType, expected.LoadAssignment = members.ClusterDiscoveryType, members.LoadAssignment
	//nolint:staticcheck // as above
	expected.DnsRefreshRate, expected.DnsFailureRefreshRate, expected.RespectDnsTtl = members.DnsRefreshRate, members.DnsFailureRefreshRate, false
	if !proto.Equal(members, expected) {
		t.Errorf("the cluster is %v\nwant %v", members, expected)
	}
	listener := func(p *proxy) *connection.HttpConnectionManager {
		m := proto.Clone(all[*connection.HttpConnectionManager](p)[0]).(*connection.HttpConnectionManager)
		m.GetRouteConfig().VirtualHosts = m.GetRouteConfig().VirtualHosts[:1]
		return m
	}
	if !proto.Equal(listener(mesh), listener(stateless)) {
		t.Error("the two listeners differ")
	}
	if !proto.Equal(mesh.bootstrap.GetAdmin(), stateless.bootstrap.GetAdmin()) || !proto.Equal(mesh.bootstrap.GetLayeredRuntime(), stateless.bootstrap.GetLayeredRuntime()) {
		t.Error("the rest differs")
	}
}

// routeOf returns the first route that takes a path. The expressions in use are lists of words.
func routeOf(t *testing.T, routes []*route.Route, path string) *route.Route {
	t.Helper()
	for _, r := range routes {
		m := r.GetMatch()
		if prefix := m.GetPrefix(); prefix != "" && strings.HasPrefix(path, prefix) || slices.Contains(strings.Split(m.GetSafeRegex().GetRegex(), "|"), path) {
			return r
		}
	}
	t.Fatalf("no route for %s", path)
	return nil
}

func TestSlipsInTheProxysFileAreFound(t *testing.T) {
	text, _ := shippedProxy(t)
	for name, change := range map[string][2]string{
		"an unknown cluster in a route":     {"cluster: members\n                  timeout: 6s", "cluster: member\n                  timeout: 6s"},
		"an unknown cluster for discovery":  {"cluster_names: [seeds]", "cluster_names: [nodes]"},
		"a misspelt condition":              {"retry_on: connect-failure,reset-before-request,retriable-headers", "retry_on: connect-failures"},
		"a misspelt field":                  {"max_request_headers_kb", "max_request_header_kb"},
		"a misspelt field in a packed type": {"suppress_envoy_headers", "suppress_envoy_header"},
		"an unknown type":                   {"extensions.filters.http.router.v3.Router", "extensions.filters.http.router.v3.Rooter"},
		"a value out of bounds":             {"max_request_headers_kb: 16", "max_request_headers_kb: 100000"},
		"the same field twice":              {"  - name: seeds\n", "  - name: seeds\n    name: seeds\n"},
		"two clusters of one name":          {"  - name: seeds\n", "  - name: members\n"},
		"an invalid value":                  {"    connect_timeout: 0.5s", "    connect_timeout: -1s"},
	} {
		if !strings.Contains(string(text), change[0]) {
			t.Errorf("%s: %q is not in the file any more", name, change[0])
			continue
		}
		if _, err := readProxy([]byte(strings.Replace(string(text), change[0], change[1], 1))); err == nil {
			t.Errorf("%s was not noticed", name)
		}
	}
}
