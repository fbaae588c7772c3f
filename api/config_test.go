package api

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"viakv/api/kv/kvtest"
)

// validate names every fault at once, and New passes them on.
func TestValidate(t *testing.T) {
	_, err := New(Config{
		Timeout: -1, ReadTimeout: -1, WriteTimeout: -1, IdleTimeout: -1,
		MaxConnections: -1, MaxConnectionsPerIP: -1, MaxInFlight: -1, MaxScans: -1,
		Origins: []string{"https://fine.example", "example.com", "https://", "https://a/b"},
		Hosts:   []string{"fine.example", "port.example:80", "http://scheme.example", ""},
		TLS:     TLSConfig{KeyFile: "key", ClientCAFile: "ca"},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"Store", " Timeout", "ReadTimeout", "WriteTimeout", "IdleTimeout", "MaxConnections ",
		"MaxConnectionsPerIP", "MaxInFlight", "MaxScans", `"example.com"`, `"https://"`, `"https://a/b"`, `"port.example:80"`, `"http://scheme.example"`, `host ""`, "both a certificate", "client CA"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "fine.example") {
		t.Errorf("a good origin or host is refused: %v", err)
	}
	if err := (Config{Store: &kvtest.Reference{}}).validate(); err != nil {
		t.Errorf("the zero values: %v", err)
	}
}

func TestDefaultsKeepWhatIsGiven(t *testing.T) {
	c := Config{Store: &kvtest.Reference{}, Timeout: time.Minute, MaxScans: 3}.withDefaults()
	if c.Timeout != time.Minute || c.MaxScans != 3 {
		t.Errorf("got %+v", c)
	}
	if c.Logger == nil || c.Registry == nil || c.WriteTimeout <= 0 || c.MaxConnections <= 0 {
		t.Errorf("got %+v", c)
	}
}

// Two servers cannot count in one registry.
func TestSharedRegistry(t *testing.T) {
	registry := prometheus.NewRegistry()
	if _, err := New(Config{Store: &kvtest.Reference{}, Registry: registry}); err != nil {
		t.Fatal(err)
	}
	_, err := New(Config{Store: &kvtest.Reference{}, Registry: registry})
	if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); !twice {
		t.Errorf("got %v", err)
	}
}

func TestConsole(t *testing.T) {
	h := start(t, Config{Console: func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("at " + string(ctx.Path())) }})
	h.get("/console").want(t, 200, "at /console")
	h.get("/console/").want(t, 200, "at /console/")
	h.get("/console/a/b.js").want(t, 200, "at /console/a/b.js")
	h.get("/consoles").problem(t, 404, "no-such-endpoint")
	h.do("POST", "/console", nil).problem(t, 405, "method-not-allowed")
	without := start(t, Config{})
	without.get("/console").problem(t, 404, "no-such-endpoint")
}
