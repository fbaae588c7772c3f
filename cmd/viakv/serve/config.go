package serve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/cmd/cliutil"
)

// Config is all configuration of viakv serve. Its flags fill it.
type Config struct {
	Commit string // commit that the program was built from, for the metrics

	name                         string
	http, peer                   string
	advertiseHTTP, advertisePeer string
	seeds, via                   []string
	expect                       int

	store, storeFile string

	readQuorum, writeQuorum quorumValue
	allowWeak               bool
	reads                   readsValue
	lease                   time.Duration
	maxMemory               bytesValue
	hugePages               bool
	timeout, hedge, drain   time.Duration

	peerTLS                   string
	peerCert, peerKey, peerCA string
	tlsCert, tlsKey, tlsCA    string
	tokens, admin             string
	origins, hosts            []string

	maxConnections, maxConnectionsPerIP, maxInFlight, maxScans, maxLoads int

	logFormat, logLevel string

	// What the limit of open files allows, where that is less than the defaults. Zero: the
	// defaults. See fitDescriptors.
	connectionsBoundBy                string
	maxAdminConnections, maxStrangers int

	lostLogLines func() uint64 // nil: no lines are counted
}

// Flags adds the flags of viakv serve. Each has its default until a command line is parsed.
func (c *Config) Flags(f *pflag.FlagSet) {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	f.StringVar(&c.name, "name", host, "this node's name in its cluster; it stays when the address changes")
	f.StringVar(&c.http, "http", "127.0.0.1:8080", "where to serve the HTTP API")
	f.StringVar(&c.peer, "peer", "127.0.0.1:9080", "where to serve other nodes")
	f.StringVar(&c.advertiseHTTP, "advertise-http", "", "how clients reach this node, HOST:PORT (default: --http)")
	f.StringVar(&c.advertisePeer, "advertise-peer", "", "how other nodes reach this one, HOST:PORT (default: --peer)")
	f.StringSliceVar(&c.seeds, "seeds", nil, "peer addresses of the cluster's first members, HOST:PORT,...; none: a cluster of one")
	f.IntVar(&c.expect, "expect", 0, "how many nodes found the cluster, more than half of all; for seed names that may not show every node all addresses")
	f.StringArrayVar(&c.via, "peer-via", nil, "ADVERTISED=DIAL: dial elsewhere for a peer (fault tests)")
	_ = f.MarkHidden("peer-via")

	f.StringVar(&c.store, "store", "memory", "memory, or a database: postgres://... or mongodb://...")
	f.StringVar(&c.storeFile, "store-file", "", "read --store from this file, so that its password is in no process list")

	f.Var(&c.readQuorum, "read-quorum", "replicas asked by a read when this node founds the cluster: majority, all or a number")
	f.Var(&c.writeQuorum, "write-quorum", "replicas written before a write is acknowledged: majority, all or a number")
	f.BoolVar(&c.allowWeak, "allow-weak-quorums", false, "permit quorums that do not overlap: reads may then miss acknowledged writes")
	f.Var(&c.reads, "reads", "how reads are answered when this node founds the cluster: lease (from the own copy, where others have promised to wait for it) or quorum (no clock is needed)")
	f.DurationVar(&c.lease, "lease", kv.DefaultLease, "how long such a promise lasts when this node founds the cluster, 10ms to 10s; writes wait that long for a member that is lost")
	f.Var(&c.maxMemory, "max-memory", "refuse new values above this memory, for example 4GiB; 0: no limit")
	f.BoolVar(&c.hugePages, "huge-pages", false, "keep keys in pages of 2 MiB: faster beyond some million keys, for a little more memory (Linux)")
	f.DurationVar(&c.timeout, "timeout", 2*time.Second, "deadline of one request")
	f.DurationVar(&c.hedge, "hedge-after", 10*time.Millisecond, "how long to wait for a replica before others are asked, too")
	f.DurationVar(&c.drain, "drain", 2*time.Second, "how long to go on serving, not ready, after SIGTERM")

	f.StringVar(&c.peerTLS, "peer-tls", "", "TLS between nodes with the certificates in this directory, as viakv certs makes them: ca.crt, NAME.crt, NAME.key")
	f.StringVar(&c.peerCert, "peer-cert", "", "certificate for TLS between nodes, where --peer-tls does not fit")
	f.StringVar(&c.peerKey, "peer-key", "", "its key")
	f.StringVar(&c.peerCA, "peer-ca", "", "the authority that signed the nodes' certificates")
	f.StringVar(&c.tlsCert, "tls-cert", "", "certificate for HTTPS")
	f.StringVar(&c.tlsKey, "tls-key", "", "its key")
	f.StringVar(&c.tlsCA, "tls-client-ca", "", "the authority that signed clients' certificates; clients must then show one")
	f.StringVar(&c.tokens, "tokens", "", "file of bearer tokens and their roles; none: everybody may do everything")
	f.StringVar(&c.admin, "admin", "", "where to serve health, metrics and profiles apart from the API, HOST:PORT")
	f.StringSliceVar(&c.origins, "origins", nil, "web origins whose pages may change keys, beside the node's own")

	f.StringSliceVar(&c.hosts, "hosts", nil, "names that requests may come under while --http is on loopback without --tokens, beside addresses, localhost and names without a dot; * for any")

	f.IntVar(&c.maxConnections, "max-connections", 10_000, "connections to the HTTP API at once, or what the limit of open files allows; more are answered with 503 and closed")
	f.IntVar(&c.maxConnectionsPerIP, "max-connections-per-ip", 0, "connections from one address at once; 0: no limit, because all may come from one proxy")
	f.IntVar(&c.maxInFlight, "max-in-flight", 4096, "requests being worked on at once; more get a quick 503")
	f.IntVar(&c.maxScans, "max-scans", 16, "getKeys, getValues and getAll running at once; more get a quick 503")
	f.IntVar(&c.maxLoads, "max-loads", 16, "setAll running at once; more get a quick 503")

	f.StringVar(&c.logFormat, "log-format", "auto", "auto, json or console")
	f.StringVar(&c.logLevel, "log-level", "info", "debug, info, warn or error")
}

// Drain returns how long the node continues to serve, not ready, after it was told to stop.
func (c *Config) Drain() time.Duration { return c.drain }

// Check completes the configuration and returns all faults in it.
func (c *Config) Check() error {
	var errs []error
	for _, a := range []struct {
		flag, value string
		optional    bool
		check       func(flag, value string) error
	}{
		{"--http", c.http, false, cliutil.CheckAddress}, {"--peer", c.peer, false, cliutil.CheckAddress},
		{"--admin", c.admin, true, cliutil.CheckAddress},
		{"--advertise-http", c.advertiseHTTP, true, checkDialable}, {"--advertise-peer", c.advertisePeer, true, checkDialable},
	} {
		if a.value != "" || !a.optional {
			errs = append(errs, a.check(a.flag, a.value))
		}
	}
	if c.expect < 0 || c.expect > 0 && len(c.seeds) == 0 {
		errs = append(errs, errors.New("--expect: want a number of nodes above zero, and --seeds by which they find one another"))
	}
	// --peer-tls stands for the three files that --peer-cert, --peer-key and --peer-ca name.
	if c.peerTLS != "" {
		if count(c.peerCert, c.peerKey, c.peerCA) != 0 {
			errs = append(errs, errors.New("--peer-tls names all three files: leave --peer-cert, --peer-key and --peer-ca out"))
		}
		in := func(file string) string { return filepath.Join(c.peerTLS, file) }
		c.peerCert, c.peerKey, c.peerCA = in(c.name+".crt"), in(c.name+".key"), in("ca.crt")
	}
	if n := count(c.peerCert, c.peerKey, c.peerCA); n != 0 && n != 3 {
		errs = append(errs, errors.New("--peer-cert, --peer-key and --peer-ca go together"))
	}
	if c.storeFile != "" {
		b, err := os.ReadFile(c.storeFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("--store-file: %w", err))
		}
		c.store = strings.TrimSpace(string(b))
	}
	// Limits and times must make sense.
	if c.drain < 0 || c.timeout <= 0 || c.hedge <= 0 {
		errs = append(errs, errors.New("--drain must not be negative, --timeout and --hedge-after must be above zero"))
	}
	if c.lease < kv.MinLease || c.lease > kv.MaxLease {
		errs = append(errs, fmt.Errorf("--lease %v: want %v to %v; without the flag it is %v", c.lease, kv.MinLease, kv.MaxLease, kv.DefaultLease))
	}
	if c.maxConnections < 1 || c.maxConnectionsPerIP < 0 || c.maxInFlight < 1 || c.maxScans < 1 || c.maxLoads < 1 {
		errs = append(errs, errors.New("--max-connections, --max-in-flight, --max-scans and --max-loads must be above zero, --max-connections-per-ip not below"))
	}
	return cliutil.Usage(errors.Join(errs...))
}

// cgroup is where Linux shows a container its limits.
const cgroup = "/sys/fs/cgroup"

// Fit fits the process into the limits of its container and system: memory, open files and threads.
// It lowers its own limits where it can, and returns an error where the node could not work.
func (c *Config) Fit(log *zap.Logger) error {
	if err := fitMemory(log, containerMemory(cgroup), c.maxMemory); err != nil {
		return err
	}
	if err := fitDescriptors(log, openFiles(), c); err != nil {
		return err
	}
	reserveThreads(fitThreads(cgroup))
	return nil
}

func count(values ...string) (n int) {
	for _, v := range values {
		if v != "" {
			n++
		}
	}
	return n
}
