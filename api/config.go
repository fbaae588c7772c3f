package api

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"viakv/api/kv"
)

// MaxPage is the highest limit a scan may ask for, in pairs.
const MaxPage = 10_000

// maxURLBytes is what a request line's target may take. The longest legal one, a key of 64 and a value of 256 four-byte characters, percent-encoded,
// has about 3,900.
const maxURLBytes = 8 << 10

// Config of a Server. The zero value of every field but Store is usable.
type Config struct {
	// Name of this node, shown by /cluster when there is no mesh, and Version of the program, shown by /version.
	Name, Version string

	// Store answers the data endpoints. Required.
	Store kv.Store
	// Cluster answers /join, /leave and /cluster. Nil: a lone store; joins and leaves are refused.
	Cluster kv.Cluster
	// Console serves /console and everything below it. Nil: 404.
	Console fasthttp.RequestHandler
	// Discovery tells proxies which nodes take traffic, at /v3/discovery:endpoints. Nil: 404.
	Discovery fasthttp.RequestHandler

	// Impaired says why the node cannot do its work although Store could; /readyz then fails for
	// that reason. It must not block. Nil: never.
	Impaired func() error

	// Logger of the server. Nil: silent.
	Logger *zap.Logger
	// Registry that the server's metrics are put in and that /metrics shows. Nil: one of its own.
	Registry *prometheus.Registry

	// Timeout of one data request. Zero: 2 s. Lower fails sooner while a replica is slow, higher holds clients longer.
	Timeout time.Duration
	// ControlTimeout of a join or a leave, which move data. Zero: 2 min.
	ControlTimeout time.Duration
	// ScanTimeout is how long a scan waits for the store's next batch. Zero: 10 s. A scan as a whole has no limit.
	ScanTimeout time.Duration

	// ReadTimeout is the time from a request's first byte to its last. Zero: 10 s.
	ReadTimeout time.Duration
	// WriteTimeout is the time a client has to take a response, or 64 KiB of a stream. Zero: 30 s. A stream's reader must
	// therefore take at least 64 KiB in this time.
	WriteTimeout time.Duration
	// IdleTimeout is how long a kept-alive connection may wait for its next request. Zero: 2 min. Keep it above the proxy's own.
	IdleTimeout time.Duration

	// MaxConnections open at once on the public listeners, streams included. Zero: 10,000. Each costs at least 16 KiB.
	MaxConnections int
	// ConnectionsBoundBy says what MaxConnections is bounded by where that is no choice, as in "the
	// limit of open files". Then /readyz fails while all of them are in use and more are turned
	// away. Empty: a choice, and a node that is full is as ready as before.
	ConnectionsBoundBy string
	// MaxAdminConnections open at once on the admin listeners. Zero: 64.
	MaxAdminConnections int
	// MaxConnectionsPerIP from one address. Zero: no limit, because all may come from one proxy.
	MaxConnectionsPerIP int
	// MaxInFlight requests being worked on at once; more get a quick 503. Zero: 4,096.
	MaxInFlight int
	// MaxScans running at once; more get a quick 503. Zero: 16. One at full speed takes a whole core; each holds up to
	// 200 KiB, or 4 MiB and its compressed form while it builds a page.
	MaxScans int
	// MaxHeaderBytes of request line and headers. Zero: 16 KiB, room for the longest legal URL and 8 KiB of headers.
	MaxHeaderBytes int
	// MaxBodyBytes of a form. Zero: 16 KiB.
	MaxBodyBytes int

	// Origins that browsers may send mutations from beside the server's own, as in "https://ops.example.com". For a proxy that
	// changes the Host header.
	Origins []string
	// Hosts are names, beside addresses, localhost and names without a dot, under which requests may come while the public listeners are on
	// loopback and there are neither tokens nor TLS; "*" is any. For a proxy on this machine that passes its public name on.
	Hosts []string
	// TokenFile holds bearer tokens with their roles, one a line: role, token, name. It is read again when it changes. Empty: everybody may do everything.
	TokenFile string
	// TLS of the public listeners. Zero: plain HTTP.
	TLS TLSConfig
}

// TLSConfig names the files of the public listeners' certificate; they are read again when they change.
type TLSConfig struct {
	CertFile, KeyFile string // PEM; both or none
	ClientCAFile      string // PEM; clients must then present a certificate that it signed
}

func (t TLSConfig) enabled() bool { return t.CertFile != "" }

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Name == "" {
		c.Name = "node"
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Timeout, 2 * time.Second}, {&c.ControlTimeout, 2 * time.Minute}, {&c.ScanTimeout, 10 * time.Second},
		{&c.ReadTimeout, 10 * time.Second}, {&c.WriteTimeout, 30 * time.Second}, {&c.IdleTimeout, 2 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{
		{&c.MaxConnections, 10_000}, {&c.MaxAdminConnections, 64}, {&c.MaxInFlight, 4096}, {&c.MaxScans, 16},
		{&c.MaxHeaderBytes, 16 << 10}, {&c.MaxBodyBytes, 16 << 10},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Store == nil {
		fault("api: Store is missing")
	}
	for name, d := range map[string]time.Duration{
		"Timeout": c.Timeout, "ControlTimeout": c.ControlTimeout, "ScanTimeout": c.ScanTimeout,
		"ReadTimeout": c.ReadTimeout, "WriteTimeout": c.WriteTimeout, "IdleTimeout": c.IdleTimeout,
	} {
		if d < 0 {
			fault("api: %s is %s: give a positive duration, or zero for the default", name, d)
		}
	}
	for name, n := range map[string]int{
		"MaxConnections": c.MaxConnections, "MaxAdminConnections": c.MaxAdminConnections, "MaxConnectionsPerIP": c.MaxConnectionsPerIP,
		"MaxInFlight": c.MaxInFlight, "MaxScans": c.MaxScans,
	} {
		if n < 0 {
			fault("api: %s is %d: give a positive number, or zero for the default", name, n)
		}
	}
	if c.MaxHeaderBytes != 0 && c.MaxHeaderBytes < maxURLBytes {
		fault("api: MaxHeaderBytes is %d: the longest legal request needs at least %d", c.MaxHeaderBytes, maxURLBytes)
	}
	if c.MaxBodyBytes != 0 && c.MaxBodyBytes < minBodyBytes {
		fault("api: MaxBodyBytes is %d: the longest legal form needs at least %d", c.MaxBodyBytes, minBodyBytes)
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		fault("api: TLS needs both a certificate and a key file")
	}
	if c.TLS.ClientCAFile != "" && !c.TLS.enabled() {
		fault("api: a client CA without a certificate of our own: give the server a certificate and a key file")
	}
	for _, h := range c.Hosts {
		if !validHost(h) {
			fault("api: host %q: give a bare name, for example kv.example.com, or * for any", h)
		}
	}
	for _, o := range c.Origins {
		if originAuthority([]byte(o)) == nil {
			fault("api: origin %q: write it as a browser does, for example https://ops.example.com", o)
		}
	}
	return errors.Join(faults...)
}

// minBodyBytes is a form with the longest key and value and some room: 3 bytes for each percent-encoded byte.
const minBodyBytes = 3*(kv.MaxKeyBytes+kv.MaxValueBytes) + 256
