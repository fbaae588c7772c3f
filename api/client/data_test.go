package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"viakv/api"
	"viakv/api/client"
	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

func TestEveryVerb(t *testing.T) {
	ctx := t.Context()
	c := connectTo(t, serve(t, api.Config{Name: "node-a", Version: "1.2"}))
	for _, pair := range []client.Pair{
		{Key: "color", Value: "green"}, {Key: " &=+%#?/\x00\n\"\\", Value: "a=b&c%20+"}, {Key: strings.Repeat("🜁", 64), Value: strings.Repeat("🜂", 256)}, {Key: "empty", Value: ""},
	} {
		version, err := c.Set(ctx, pair.Key, pair.Value)
		if err != nil || version == "" {
			t.Fatalf("set %q: %q, %v", pair.Key, version, err)
		}
		if got, err := c.Get(ctx, pair.Key); err != nil || got != pair.Value {
			t.Fatalf("get %q: %q, %v", pair.Key, got, err)
		}
		entry, err := c.Lookup(ctx, pair.Key)
		if want := (client.Entry{Key: pair.Key, Value: pair.Value, Version: version}); err != nil || entry != want {
			t.Fatalf("lookup: %+v, %v, want %+v", entry, err, want)
		}
		if has, err := c.Has(ctx, pair.Key); err != nil || !has {
			t.Fatalf("has %q: %v, %v", pair.Key, has, err)
		}
	}
	// A removed key is missing to every method, and so is a cleared one.
	if err := c.Remove(ctx, "color"); err != nil {
		t.Fatal(err)
	}
	want(t, c.Remove(ctx, "color"), 404, kv.None, client.ErrMissing)
	_, err := c.Get(ctx, "color")
	want(t, err, 404, kv.None, client.ErrMissing)
	if has, err := c.Has(ctx, "color"); err != nil || has {
		t.Fatalf("has a removed key: %v, %v", has, err)
	}
	if err := c.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if has, err := c.Has(ctx, "empty"); err != nil || has {
		t.Fatalf("has a cleared key: %v, %v", has, err)
	}
	// The requests about the node itself.
	if s, err := c.Events(ctx, 5); err != nil || s.Self != "node-a" || len(s.Events) != 0 {
		t.Fatalf("events of a node whose cluster never changes: %+v, %v", s, err)
	}
	_, err = c.Events(ctx, 201)
	want(t, err, 400, kv.None, nil)
	status, err := c.Cluster(ctx)
	if err != nil || status.Self != "node-a" || len(status.Members) != 1 {
		t.Fatalf("cluster: %+v, %v", status, err)
	}
	if v, err := c.Version(ctx); err != nil || v.Version != "1.2" {
		t.Fatalf("version: %+v, %v", v, err)
	}
	if err := errors.Join(c.Live(ctx), c.Ready(ctx)); err != nil {
		t.Fatal(err)
	}
}

func TestRefusalsAreTyped(t *testing.T) {
	ctx := t.Context()
	c := connect(t, client.Config{Endpoints: []string{serve(t, api.Config{Store: &kvtest.Reference{MaxBytes: 64}})}})
	_, err := c.Set(ctx, "", "v")
	if e := want(t, err, 400, kv.None, nil); e.Parameter != "k" || e.Kind != "bad-parameter" || !strings.Contains(e.Error(), "empty") {
		t.Errorf("got %+v", e)
	}
	_, err = c.Set(ctx, "k", strings.Repeat("v", 100))
	want(t, err, 507, kv.None, client.ErrMemoryLimit)
	_, err = c.Join(ctx, "127.0.0.1:1")
	want(t, err, 409, kv.None, kv.ErrNotMesh)
	_, err = c.Leave(ctx, "node-x", true)
	want(t, err, 409, kv.None, kv.ErrNotMesh)
	_, err = c.SetReads(ctx, kv.ReadsQuorum)
	want(t, err, 409, kv.None, kv.ErrNotMesh)
	_, err = c.SetReads(ctx, "both")
	if e := want(t, err, 400, kv.None, nil); e.Parameter != "mode" {
		t.Errorf("got %+v", e)
	}
	_, err = c.With(client.Options{R: 3}).Get(ctx, "k")
	if e := want(t, err, 400, kv.None, nil); e.Parameter != "r" {
		t.Errorf("got %+v", e)
	}
	if _, err := c.With(client.Options{R: kv.QuorumAll, W: kv.QuorumMajority}).Set(ctx, "k", "v"); err != nil {
		t.Error(err)
	}
}

// tokens returns a file with two tokens.
func tokens(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("read 0123456789abcdef0\nadmin 0123456789abcdef1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTokens(t *testing.T) {
	addr := serve(t, api.Config{TokenFile: tokens(t)})
	_, err := connectTo(t, addr).Set(t.Context(), "k", "v")
	want(t, err, 401, kv.None, nil)
	_, err = connect(t, client.Config{Endpoints: []string{addr}, Token: "0123456789abcdef0"}).Set(t.Context(), "k", "v")
	want(t, err, 403, kv.None, nil)
	if _, err = connect(t, client.Config{Endpoints: []string{addr}, Token: "0123456789abcdef1"}).Set(t.Context(), "k", "v"); err != nil {
		t.Error(err)
	}
}

func TestMutationsArePosts(t *testing.T) {
	var methods []string
	s := script(t, func(r *http.Request, c net.Conn) bool {
		methods = append(methods, r.Method+r.URL.Path)
		return write(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	})
	c := connectTo(t, s.addr)
	ctx := context.Background()
	if _, err := c.Set(ctx, "k", "v"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if want := []string{"POST/set", "GET/get", "POST/rm"}; !slices.Equal(methods, want) {
		t.Errorf("got %v, want %v", methods, want)
	}
}

func TestConfigFaultsAreAllReported(t *testing.T) {
	_, err := client.New(client.Config{Token: "a b", Timeout: -1, MaxIdle: -1})
	for _, part := range []string{"Endpoints", "Token", "Timeout", "MaxIdle"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
	for _, endpoint := range []string{"ftp://h:1", "http://", "http://u@h", "http://h/x", "http://h?x", "http://[::1", "\x7f"} {
		if _, err := client.New(client.Config{Endpoints: []string{endpoint}}); err == nil {
			t.Errorf("endpoint %q was accepted", endpoint)
		}
	}
	for _, endpoint := range []string{"h", "h:1", "http://h", "https://h/", "http://[::1]:8080"} {
		if _, err := client.New(client.Config{Endpoints: []string{endpoint}}); err != nil {
			t.Error(err)
		}
	}
}
