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

// These are the bounds that no configuration changes.
const (
	// controlTimeout bounds a join or a leave, which move data.
	controlTimeout = 2 * time.Minute
	// scanTimeout is how long a scan waits for the store's next batch. A scan as a whole has no
	// limit.
	scanTimeout = 10 * time.Second

	// maxURLBytes bounds the target of a request line. The longest legal target has about 3,900
	// bytes: a key of 64 and a value of 256 four-byte characters, percent-encoded.
	maxURLBytes = 8 << 10
	// maxHeaderBytes bounds request line and headers together: the longest target, and 8 KiB of
	// headers.
	maxHeaderBytes = maxURLBytes + 8<<10
	// maxBodyBytes bounds a form. The longest legal one has about 3,900 bytes as well.
	maxBodyBytes = 16 << 10
)

// Config holds the settings of a Server. The zero value of every field but Store is usable.
type Config struct {
	// Name is this node's name, which /cluster shows when there is no mesh. Empty: "node". Version
	// is the program's, which /version shows. Empty: none.
	Name, Version string

	// Store answers the data endpoints. Required.
	Store kv.Store
	// Cluster answers /join, /leave, /reads, /cluster and /plan. Nil: a lone store, which refuses
	// the first three.
	Cluster kv.Cluster
	// Console serves /console and everything below it. Nil: 404.
	Console fasthttp.RequestHandler
	// Discovery tells proxies which nodes take traffic, at /v3/discovery:endpoints. Nil: 404.
	Discovery fasthttp.RequestHandler

	// Impaired returns why the node cannot do its work although Store could; /readyz then fails for
	// that reason. It must not block. Nil: never.
	Impaired func() error

	// Logger is the server's log. Nil: silent.
	Logger *zap.Logger
	// Registry takes up the server's metrics, and /metrics shows it. Nil: a registry of the
	// server's own.
	Registry *prometheus.Registry

	// Timeout bounds one data request. Zero: 2 s. A lower one fails sooner while a replica is slow,
	// a higher one holds clients longer.
	Timeout time.Duration

	// ReadTimeout is the time from a request's first byte to its last. Zero: 10 s.
	ReadTimeout time.Duration
	// WriteTimeout is the time a client has to take a response, or one chunk of a stream, which has
	// about 128 KiB. Zero: 30 s. The reader of a stream must therefore take at least 128 KiB in
	// this time.
	WriteTimeout time.Duration
	// IdleTimeout is how long a kept-alive connection may wait for its next request. Zero: 2 min.
	// It should be longer than the idle time-out of a proxy in front.
	IdleTimeout time.Duration

	// MaxConnections is how many connections may be open at once on the public listeners, streams
	// included. Zero: 10,000. Each costs at least 16 KiB.
	MaxConnections int
	// ConnectionsBoundBy names what bounds MaxConnections where the operator did not choose it, as
	// in "the limit of open files". Then /readyz fails while all of them are in use and more are
	// turned away. Empty: the operator chose the number, and a node that is full stays ready.
	ConnectionsBoundBy string
	// MaxAdminConnections is how many connections may be open at once on the admin listeners. Zero:
	// 64.
	MaxAdminConnections int
	// MaxConnectionsPerIP is how many connections may come from one address. Zero: no limit,
	// because all may come from one proxy.
	MaxConnectionsPerIP int
	// MaxInFlight is how many requests may be worked on at once; more get a quick 503. Zero: 4,096.
	MaxInFlight int
	// MaxScans is how many scans may run at once; more get a quick 503. Zero: 16. A scan at full
	// speed takes a whole core. A stream holds about 130 KiB, and about 230 KiB more when it is
	// compressed. A page holds up to 4 MiB and its compressed form while it is built.
	MaxScans int
	// MaxLoads is how many loads (/setAll) may run at once; more get a quick 503. Zero: 16. A load
	// holds about 2 MiB, and up to 11 MiB where its body is compressed with zstd.
	MaxLoads int

	// Origins are those that browsers may send mutations from beside the server's own, as in
	// "https://ops.example.com". They are for a proxy that changes the Host header. Empty: the
	// server's own only.
	Origins []string
	// Hosts are further names under which requests may come while the public listeners are on
	// loopback and there are neither tokens nor TLS. Addresses, localhost and names without a dot
	// always pass; "*" is any name. Hosts are for a proxy on this machine that passes its public
	// name on. Empty: no further names.
	Hosts []string
	// TokenFile names the file of bearer tokens with their roles, one a line: role, token, name.
	// The file is read again when it changes. Empty: every client may do everything.
	TokenFile string
	// TLS names the certificate of the public listeners. Zero: plain HTTP.
	TLS TLSConfig
}

// TLSConfig names the files of the public listeners' certificate. The files are read again when
// they change.
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
	if c.Cluster == nil {
		c.Cluster = lone(c.Name)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Timeout, 2 * time.Second}, {&c.ReadTimeout, 10 * time.Second}, {&c.WriteTimeout, 30 * time.Second}, {&c.IdleTimeout, 2 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{
		{&c.MaxConnections, 10_000}, {&c.MaxAdminConnections, 64}, {&c.MaxInFlight, 4096}, {&c.MaxScans, 16}, {&c.MaxLoads, 16},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// validate reports every fault of the configuration at once.
func (c Config) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Store == nil {
		fault("api: Store is missing")
	}
	// Durations and counts must not be negative.
	for name, d := range map[string]time.Duration{
		"Timeout": c.Timeout, "ReadTimeout": c.ReadTimeout, "WriteTimeout": c.WriteTimeout, "IdleTimeout": c.IdleTimeout,
	} {
		if d < 0 {
			fault("api: %s is %s: give a positive duration, or zero for the default", name, d)
		}
	}
	for name, n := range map[string]int{
		"MaxConnections": c.MaxConnections, "MaxAdminConnections": c.MaxAdminConnections, "MaxConnectionsPerIP": c.MaxConnectionsPerIP,
		"MaxInFlight": c.MaxInFlight, "MaxScans": c.MaxScans, "MaxLoads": c.MaxLoads,
	} {
		if n < 0 {
			fault("api: %s is %d: give a positive number, or zero for the default", name, n)
		}
	}
	// Files and names must fit together.
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
