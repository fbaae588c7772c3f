package mongodb

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"viakv/node/database/stateless"
)

// Config configures a Store.
type Config struct {
	// URL is mongodb://user:password@host:port,…/database?option=value, or mongodb+srv://, with the
	// driver's options. It must be set. Write concern and read preference are always this package's
	// (N2), whatever the URL says.
	URL string
	// Name is the name of this node. It is shown in the node's status and in the server's log of
	// connections.
	Name string
	// Timeout bounds a request without a deadline. Zero means stateless.DefaultTimeout.
	Timeout time.Duration
}

const (
	// defaultConnections is the size of the pool of each server, unless the URL has maxPoolSize.
	defaultConnections = 64
	connectTimeout     = 5 * time.Second
	connectionIdle     = 5 * time.Minute
)

// target is what a URL names.
type target struct {
	options  *options.ClientOptions
	database string
	scrub    stateless.Scrubber
}

// parse reads the URL. What the driver says about a URL that it cannot read may quote parts of a
// password. So parse passes it on only for a URL without a user.
func (c Config) parse() (target, error) {
	malformed := errors.New("the store's URL cannot be read: want mongodb://user:password@host:port,host:port/database?option=value, or mongodb+srv://; " +
		"in the password, write special characters as percent codes (@ is %40, / is %2F)")
	scheme, rest, ok := strings.Cut(c.URL, "://")
	if !ok || scheme != "mongodb" && scheme != "mongodb+srv" {
		return target{}, malformed
	}
	// net/url cannot read lists of hosts, so the parts are cut by hand.
	authority, path, _ := strings.Cut(rest, "/")
	path, query, _ := strings.Cut(path, "?")
	var user, password string
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		user, password, _ = strings.Cut(authority[:at], ":")
	}
	if plain, err := url.PathUnescape(password); err == nil {
		password = plain
	}
	t := target{scrub: stateless.NewScrubber(password)}
	values, err := url.ParseQuery(query)
	if err != nil {
		return target{}, malformed
	}
	t.options = options.Client().ApplyURI(c.URL)
	if err := t.options.Validate(); err != nil {
		if user == "" && !strings.Contains(rest, "@") {
			return target{}, fmt.Errorf("%w (%w)", malformed, t.scrub.Error(err))
		}
		return target{}, malformed
	}
	if t.database, err = url.PathUnescape(path); err != nil || t.database == "" || strings.ContainsAny(t.database, "/\\. \"$\x00") {
		return target{}, errors.New("the store's URL names no database: want mongodb://user:password@host:port/database")
	}

	o := t.options
	if !hasOption(values, "maxPoolSize") {
		o.SetMaxPoolSize(defaultConnections)
	}
	if !hasOption(values, "maxIdleTimeMS") {
		o.SetMaxConnIdleTime(connectionIdle)
	}
	if !hasOption(values, "connectTimeoutMS") {
		o.SetConnectTimeout(connectTimeout)
	}
	if !hasOption(values, "appName") {
		o.SetAppName(strings.TrimSpace("viakv " + c.Name))
	}
	journaled := true
	o.SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journaled})
	o.SetReadPreference(readpref.Primary())
	return t, nil
}

// hasOption reports whether an option is set. It ignores case, as the driver does.
func hasOption(values url.Values, name string) bool {
	for k := range values {
		if strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}
