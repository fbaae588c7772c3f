package mongodb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"viakv/api/kv"
	"viakv/node/database/stateless"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		url  string
		most uint64
	}{
		{"mongodb://h:1/db", defaultConnections},
		{"mongodb://u:p%40%2F@h1:1,h2:2,h3:3/db?replicaSet=rs&maxpoolsize=9", 9},
		{"mongodb://h/db?maxPoolSize=5&w=1&readPreference=secondary", 5},
	} {
		got, err := Config{URL: c.url}.parse()
		if err != nil {
			t.Fatalf("%s: %v", c.url, err)
		}
		o := got.options
		if got.database != "db" || *o.MaxPoolSize != c.most || o.WriteConcern.W != "majority" || !*o.WriteConcern.Journal ||
			o.ReadPreference.Mode() != readpref.PrimaryMode {
			t.Errorf("%s: %+v", c.url, o)
		}
	}
}

// TestParseRefuses: a URL that cannot be used is refused. The error quotes nothing of it, because
// any part may belong to the password.
func TestParseRefuses(t *testing.T) {
	for _, url := range []string{
		"", "x", "postgres://u:hunter2@h/db", "mongodb://", "mongodb://u:hunter2@h:1", "mongodb://u:hunter2@h:1/", "mongodb://u:hun/ter2@h:1/db",
		"mongodb://u:hunter2@@h:1/db", "mongodb://u:%zzhunter2@h:1/db", "mongodb://u:hunter2@h:port/db", "mongodb://u:hunter2@h/d.b",
		"mongodb://u:hunter2@h/db?maxPoolSize=hunter2", "mongodb://h/db?w=%zz", "mongodb://h/db?tls=perhaps",
	} {
		_, err := Config{URL: url}.parse()
		if err == nil {
			t.Errorf("%q is taken", url)
		} else if strings.Contains(err.Error(), "ter2") {
			t.Errorf("%q: the error shows the password: %v", url, err)
		}
		if _, err := Open(context.Background(), Config{URL: url}); err == nil || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%q: open: %v", url, err)
		}
	}
}

// TestEffects: only what is certain counts as nothing (N4).
func TestEffects(t *testing.T) {
	command := func(code int32, labels ...string) error {
		return fmt.Errorf("wrapped: %w", mongo.CommandError{Code: code, Labels: labels})
	}
	write := func(code int) error { return mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: code}}} }
	for _, c := range []struct {
		name string
		err  error
		sent int32
		want effect
	}{
		{"nothing sent", io.EOF, 0, nothing},
		{"connection lost", io.EOF, 1, open},
		{"connection lost, dressed as a command's error", command(0, "NetworkError"), 1, open},
		{"time over", context.DeadlineExceeded, 1, open},
		{"refused", command(unauthorized), 1, nothing},
		{"another upsert", write(duplicateKey), 1, transient},
		{"conflict", command(writeConflict), 1, transient},
		{"no primary", command(notWritablePrimary), 1, transient},
		{"no primary, the second time", command(notWritablePrimary), 2, open},
		{"no primary, and the server knows of no write", command(notWritablePrimary, "NoWritesPerformed"), 2, transient},
		{"stepped down", command(interruptedRepl), 1, open},
		{"router lost its shard", command(hostUnreachable), 1, open},
		{"too slow", command(maxTimeExpired), 1, open},
		{"written, not replicated", mongo.WriteException{WriteConcernError: &mongo.WriteConcernError{Code: writeConcernFailed}}, 1, open},
		{"invalid", write(2), 1, nothing},
	} {
		if got := effectOf(c.err, c.sent); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range []error{
		mongo.CommandError{Code: unauthorized}, mongo.CommandError{Code: authFailed}, mongo.CommandError{Code: writeConflict}, mongo.CommandError{Code: notPrimary},
		context.DeadlineExceeded, mongo.CommandError{Code: 2}, mongo.WriteException{WriteConcernError: &mongo.WriteConcernError{Code: writeConcernFailed}}, io.EOF,
	} {
		r := reasonOf(err)
		if r == "" || seen[r] {
			t.Errorf("%v: %q", err, r)
		}
		seen[r] = true
	}
}

// TestDiagnose: mistakes are final and say what to do. A server that is not there yet is waited
// for.
func TestDiagnose(t *testing.T) {
	for _, c := range []struct {
		err   error
		want  string
		final bool
	}{
		{mongo.CommandError{Code: authFailed}, "wrong user or password", true},
		{mongo.CommandError{Code: unauthorized}, "readWrite", true},
		{fmt.Errorf("%w: version 9", errNewerSchema), "too old", true},
		{errForeign, "not usable", true},
		{errCollation, "not usable", true},
		{mongo.CommandError{Code: 2}, "refused", true},
		{mongo.CommandError{Code: notWritablePrimary}, "cannot be reached", false},
		{io.EOF, "cannot be reached", false},
	} {
		reason, final := diagnose(c.err, target{database: "db", options: mustParse(t)})
		if !strings.Contains(reason, c.want) || final != c.final {
			t.Errorf("%v: %q, %v", c.err, reason, final)
		}
	}
}

// TestSendings: only the commands of a request are counted, and the figures of the connections add
// up.
func TestSendings(t *testing.T) {
	m := commandMonitor()
	ctx, sent := counting(t.Context())
	m.Started(ctx, nil)
	m.Started(t.Context(), nil) // a command of the driver's own
	m.Started(ctx, nil)
	if n := sent.Load(); n != 2 {
		t.Fatalf("%d sendings", n)
	}
	c := connections{limit: 9}
	p := c.monitor()
	for _, e := range []event.PoolEvent{
		{Type: event.ConnectionCreated}, {Type: event.ConnectionCreated}, {Type: event.ConnectionCreated}, {Type: event.ConnectionCreated},
		{Type: event.ConnectionReady},
		{Type: event.ConnectionCheckOutStarted}, {Type: event.ConnectionCheckedOut, Duration: time.Second}, {Type: event.ConnectionCheckedIn},
		{Type: event.ConnectionClosed},
		{Type: event.ConnectionCheckOutStarted}, {Type: event.ConnectionCheckedOut, Duration: time.Second},
		{Type: event.ConnectionCheckOutStarted}, {Type: event.ConnectionCheckOutFailed, Duration: 3 * time.Second},
		{Type: event.ConnectionCheckOutStarted},
	} {
		p.Event(&e)
	}
	want := stateless.Pool{InUse: 1, Idle: 2, Limit: 9, Waiting: 1, Opened: 4, Failed: 1, Waited: 5 * time.Second}
	if got := c.pool(); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
}

// TestFilters: the bounds of a page, for a cursor within, before and behind the prefix.
func TestFilters(t *testing.T) {
	for _, c := range []struct{ prefix, to, after, want string }{
		{"", "", "", `{"_id":{"$gte":""}}`},
		{"", "", "k", `{"_id":{"$gt":"k"}}`},
		{"b", "c", "", `{"_id":{"$gte":"b","$lt":"c"}}`},
		{"b", "c", "bx", `{"_id":{"$gt":"bx","$lt":"c"}}`},
		{"b", "c", "a", `{"_id":{"$gte":"b","$lt":"c"}}`},
		{"b", "c", "d", `{"_id":{"$gt":"d","$lt":"c"}}`},
	} {
		sc := &scanner{prefix: c.prefix, to: c.to}
		got, err := bson.MarshalExtJSON(sc.filter(c.after), false, false)
		if err != nil || string(got) != c.want {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
}

func TestStateErrors(t *testing.T) {
	s := &Store{}
	for _, err := range []error{mongo.ErrNoDocuments, errForeign} {
		var u *kv.Unavailable
		if !errors.As(s.stateError(err), &u) || u.Outcome != kv.None || u.Reason == "" {
			t.Errorf("%v: %v", err, u)
		}
	}
	if s.stateError(nil) != nil || s.stateError(io.EOF) != io.EOF {
		t.Error("another error changed")
	}
}

func mustParse(t *testing.T) *options.ClientOptions {
	t.Helper()
	p, err := Config{URL: "mongodb://h:1/db"}.parse()
	if err != nil {
		t.Fatal(err)
	}
	return p.options
}

// TestUnsent: a request that waits for a connection in vain has met an overload. One that finds no
// server has not.
func TestUnsent(t *testing.T) {
	s := &Store{}
	for _, c := range []struct {
		err      error
		overload bool
	}{
		{fmt.Errorf("x: %w", topology.WaitQueueTimeoutError{Wrapped: context.DeadlineExceeded}), true},
		{context.DeadlineExceeded, false},
		{topology.ServerSelectionError{Wrapped: context.DeadlineExceeded}, false},
	} {
		var u *kv.Unavailable
		if !errors.As(s.unsent(c.err), &u) || u.Outcome != kv.None || (u.RetryAfter > 0) != c.overload {
			t.Errorf("%v: %+v", c.err, u)
		}
	}
}
