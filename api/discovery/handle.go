package discovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// typeURL is the type of what is discovered here.
const typeURL = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"

// answerTime bounds one answer. Envoy polls again.
const answerTime = 1500 * time.Millisecond

// maxNamesAsked bounds how many resource names one request may have, and so the size of the answer.
const maxNamesAsked = 64

// Handle answers a DiscoveryRequest, in JSON, with a DiscoveryResponse. A request without a body,
// as from curl, gets all there is. It blocks while names are resolved.
func (s *Service) Handle(ctx *fasthttp.RequestCtx) {
	request, err := read(ctx.Request.Body())
	if err != nil {
		refuse(ctx, fasthttp.StatusBadRequest, err)
		return
	}
	// A RequestCtx never ends by itself.
	bounded, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	v, err := s.view(bounded)
	if err != nil {
		refuse(ctx, fasthttp.StatusServiceUnavailable, err)
		return
	}
	if !v.shouldReplace(request.GetVersionInfo()) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	body, err := v.response(request.GetResourceNames())
	if err != nil {
		refuse(ctx, fasthttp.StatusInternalServerError, err)
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

// read decodes a request and checks that it asks for what is served here. It skips fields that it
// does not know, as newer versions of Envoy send them.
func read(body []byte) (*discoveryv3.DiscoveryRequest, error) {
	r := new(discoveryv3.DiscoveryRequest)
	if len(body) == 0 {
		return r, nil
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, r); err != nil {
		return nil, errors.New("the body is no DiscoveryRequest of xDS v3 in JSON")
	}
	if t := r.GetTypeUrl(); t != "" && t != typeURL {
		return nil, fmt.Errorf("type %.100q is not served here; want %s", t, typeURL)
	}
	if n := len(r.GetResourceNames()); n > maxNamesAsked {
		return nil, fmt.Errorf("%d resource names; the limit is %d", n, maxNamesAsked)
	}
	return r, nil
}

// response returns an answer that lists the endpoints under each of the names. A proxy may call
// this cluster by any name; it always means the one that the node is in.
func (v *view) response(names []string) ([]byte, error) {
	if len(names) == 0 {
		names = []string{resource}
	}
	r := &discoveryv3.DiscoveryResponse{VersionInfo: v.version(), TypeUrl: typeURL}
	for _, name := range names {
		assignment := &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: v.lbEndpoints()}}}
		packed, err := anypb.New(assignment)
		if err != nil {
			return nil, err
		}
		r.Resources = append(r.Resources, packed)
	}
	return protojson.Marshal(r)
}

func (v *view) lbEndpoints() (out []*endpointv3.LbEndpoint) {
	for _, e := range v.endpoints {
		socket := &core.SocketAddress{Address: e.at.Addr().String(), PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(e.at.Port())}}
		out = append(out, &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
			Hostname: e.member, Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: socket}}}}})
	}
	return out
}

func refuse(ctx *fasthttp.RequestCtx, status int, err error) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString(err.Error() + "\n")
}
