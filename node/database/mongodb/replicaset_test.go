package mongodb

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/node/database/dbtest"
)

var bg = context.Background()

// openOn opens a store on a stand-in until the test ends.
func openOn(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(bg, Config{URL: url, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// patient returns options with a deadline that no healthy request comes near.
func patient() kv.Options { return kv.Options{Deadline: time.Now().Add(time.Minute)} }

func set(s *Store, key, value string) error {
	_, err := s.Set(bg, []byte(key), []byte(value), patient())
	return err
}

func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store { return openOn(t, newStandIn(t).url()) })
}

// TestWhatAReplicaSetIsAsked: single keys are read linearizable, and pages from a majority. Writes
// are confirmed by the journals of a majority, and may be repeated. All that holds whatever the URL
// says (N2, N4).
func TestWhatAReplicaSetIsAsked(t *testing.T) {
	r := newStandIn(t)
	s := openOn(t, r.url()+"?w=1&journal=false&readPreference=secondary&readConcernLevel=local")
	if err := set(s, "k", "v"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(bg, nil, []byte("k"), patient()); err != nil {
		t.Fatal(err)
	}
	wants := func(name string, pairs map[string]string) {
		t.Helper()
		command, _ := r.last(name)
		for path, want := range pairs {
			if got := command.Lookup(strings.Split(path, ".")...); got.String() != want {
				t.Errorf("%s: %s is %v, want %s\n%s", name, path, got, want, command)
			}
		}
	}
	confirmed := map[string]string{"writeConcern.w": `"majority"`, "writeConcern.j": "true"}
	wants("find", map[string]string{"readConcern.level": `"linearizable"`, "limit": `{"$numberLong":"1"}`, "$readPreference.mode": ""})
	wants("update", confirmed)
	if command, _ := r.last("update"); repeatable(command) == "" {
		t.Errorf("a set is not repeatable: %s", command)
	}
	if err := s.Remove(bg, []byte("k"), patient()); err != nil {
		t.Fatal(err)
	}
	wants("delete", confirmed)
	if command, _ := r.last("delete"); repeatable(command) == "" {
		t.Errorf("a remove is not repeatable: %s", command)
	}
	if err := s.Clear(bg, patient()); err != nil {
		t.Fatal(err)
	}
	wants("drop", confirmed)
	read, _ := r.last("find")
	sc := &scanner{store: s, values: true}
	if err := sc.read(bg, new(kv.Batch), "", 1); err != nil {
		t.Fatal(err)
	}
	wants("find", map[string]string{"readConcern.level": `"majority"`})
	if level := read.Lookup("readConcern", "level").StringValue(); level != "linearizable" {
		t.Errorf("the count of clears is read with %s", level)
	}
}

// TestReadConcerns: the URL and the kind of server decide the read concerns of single keys and of
// pages.
func TestReadConcerns(t *testing.T) {
	for _, c := range []struct {
		name, option, one, many string
		single                  bool
	}{
		{"replica set", "", "linearizable", "majority", false},
		{"replica set, faster", "?readConcernLevel=majority", "majority", "majority", false},
		{"single server", "", "local", "local", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newStandIn(t)
			r.single = c.single
			s := openOn(t, r.url()+c.option)
			level := func() string {
				command, _ := r.last("find")
				return command.Lookup("readConcern", "level").StringValue()
			}
			if _, err := s.Has(bg, []byte("k"), patient()); !errors.Is(err, kv.ErrMissing) || level() != c.one {
				t.Errorf("%v; one key is read with %s, want %s", err, level(), c.one)
			}
			sc := &scanner{store: s}
			if err := sc.read(bg, new(kv.Batch), "", 1); err != nil || level() != c.many {
				t.Errorf("%v; a page is read with %s, want %s", err, level(), c.many)
			}
		})
	}
}

// TestWhatIsRefusedAtStart: a wrong password or a missing right ends Open soon, and without the
// password in the error.
func TestWhatIsRefusedAtStart(t *testing.T) {
	for _, c := range []struct {
		name, command string
		fault         fault
		want          string
	}{
		{"wrong password", "saslStart", fault{code: authFailed, name: "AuthenticationFailed"}, "wrong user or password"},
		{"user without rights", "listCollections", fault{code: unauthorized, name: "Unauthorized"}, "readWrite"},
		{"user who may read", "update", fault{code: unauthorized, name: "Unauthorized"}, "readWrite"},
		{"user who may not remove", "delete", fault{code: unauthorized, name: "Unauthorized"}, "readWrite"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newStandIn(t)
			r.from(c.command, c.fault)
			began := time.Now()
			url := r.url()
			if c.command == "saslStart" { // the stand-in cannot authenticate a user
				url = strings.Replace(url, "//", "//u:hunter2@", 1)
			}
			s, err := Open(bg, Config{URL: url})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
			if d := time.Since(began); d > 15*time.Second {
				t.Errorf("took %v: a refusal is not waited out", d)
			}
		})
	}
}

// TestANewPrimary: a write that a former primary refuses is sent again to the present primary, and
// happens once.
func TestANewPrimary(t *testing.T) {
	t.Parallel() // most of it is waiting
	r := newStandIn(t)
	s := openOn(t, r.url())
	r.next("update", fault{code: notWritablePrimary, name: "NotWritablePrimary", labels: []string{"RetryableWriteError"}})
	if err := set(s, "k", "v"); err != nil {
		t.Fatal(err)
	}
	r.next("find", fault{code: notWritablePrimary, name: "NotWritablePrimary"}, fault{code: notWritablePrimary, name: "NotWritablePrimary"})
	if v, _, err := s.Get(bg, nil, []byte("k"), patient()); err != nil || string(v) != "v" {
		t.Fatalf("%q, %v", v, err)
	}
	// No election ever ends here. Nothing was written, and the server says so. On a busy machine
	// the last answer may come too late, but not every time.
	r.from("update", fault{code: notWritablePrimary, name: "NotWritablePrimary", labels: []string{"RetryableWriteError", "NoWritesPerformed"}})
	for until := time.Now().Add(30 * time.Second); ; {
		_, err := s.Set(bg, []byte("k"), []byte("w"), kv.Options{Deadline: time.Now().Add(700 * time.Millisecond)})
		if dbtest.OutcomeOf(t, err) == kv.None {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("without a primary: %v, want outcome none", err)
		}
	}
}

// TestALostAnswer: the driver repeats a write whose answer was lost, under the same number. So it
// happens once and is acknowledged.
func TestALostAnswer(t *testing.T) {
	t.Parallel() // most of it is waiting
	r := newStandIn(t)
	s := openOn(t, r.url())
	if err := set(s, "k", "v"); err != nil {
		t.Fatal(err)
	}
	_, before := r.last("delete")
	r.next("delete", fault{lose: true}, fault{drop: true})
	if err := s.Remove(bg, []byte("k"), patient()); err != nil {
		t.Fatalf("the key was there, and one of three sendings removed it: %v", err)
	}
	if _, after := r.last("delete"); after-before != 3 {
		t.Fatalf("%d sendings, want 3", after-before)
	}
	if err := s.Remove(bg, []byte("k"), patient()); !errors.Is(err, kv.ErrMissing) {
		t.Fatalf("a second remove: %v", err)
	}
}

// TestAllAnswersLost: when no answer comes until the deadline, the outcome is unknown. A drop has
// no number and is sent once, because a late second drop would remove newer keys.
func TestAllAnswersLost(t *testing.T) {
	for _, c := range []struct {
		command string
		run     func(s *Store, o kv.Options) error
		once    bool
	}{
		{"update", func(s *Store, o kv.Options) error { _, err := s.Set(bg, []byte("k"), []byte("w"), o); return err }, false},
		{"delete", func(s *Store, o kv.Options) error { return s.Remove(bg, []byte("k"), o) }, false},
		{"drop", func(s *Store, o kv.Options) error { return s.Clear(bg, o) }, true},
	} {
		t.Run(c.command, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			r := newStandIn(t)
			s := openOn(t, r.url())
			if err := set(s, "k", "v"); err != nil {
				t.Fatal(err)
			}
			_, before := r.last(c.command)
			r.from(c.command, fault{lose: true})
			err := c.run(s, kv.Options{Deadline: time.Now().Add(2 * time.Second)})
			if dbtest.OutcomeOf(t, err) != kv.Unknown {
				t.Errorf("%v, want outcome unknown", err)
			}
			if _, after := r.last(c.command); after == before || c.once && after-before != 1 {
				t.Errorf("sent %d times", after-before)
			}
		})
	}
}

// TestNoMajority: a write that the primary took and no majority confirmed has outcome unknown. It
// may be rolled back, or not.
func TestNoMajority(t *testing.T) {
	r := newStandIn(t)
	s := openOn(t, r.url())
	r.from("update", fault{code: writeConcernFailed, name: "waiting for replication timed out", concern: true})
	var u *kv.Unavailable
	if err := set(s, "k", "v"); !errors.As(err, &u) || u.Outcome != kv.Unknown || !strings.Contains(u.Reason, "majority") {
		t.Fatalf("%v", err)
	}
}

// TestOtherUpserts: two upserts of a new key at once may meet as a duplicate. The loser then
// updates what the winner has made.
func TestOtherUpserts(t *testing.T) {
	r := newStandIn(t)
	s := openOn(t, r.url())
	r.next("update", fault{code: duplicateKey, name: "DuplicateKey"}, fault{code: writeConflict, name: "WriteConflict"})
	if err := set(s, "k", "v"); err != nil {
		t.Fatal(err)
	}
	if v, _, err := s.Get(bg, nil, []byte("k"), patient()); err != nil || string(v) != "v" {
		t.Fatalf("%q, %v", v, err)
	}
}

// TestReadinessFollowsTheDatabase: a lost right, a lost majority, newer documents and a lost state
// document each make the node not ready, with the reason, until the fault is repaired.
func TestReadinessFollowsTheDatabase(t *testing.T) {
	t.Parallel() // most of it is waiting
	r := newStandIn(t)
	s := openOn(t, r.url())
	schema := func(n int32) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range r.state {
			if r.state[i].Key == "schema" {
				r.state[i].Value = n
			}
		}
	}
	dbtest.Ready(t, s)
	r.from("delete", fault{code: unauthorized, name: "Unauthorized"})
	dbtest.Unready(t, s, "lost its rights")
	r.from("delete", fault{})
	dbtest.Ready(t, s)
	r.from("delete", fault{code: writeConcernFailed, name: "waiting for replication timed out", concern: true})
	dbtest.Unready(t, s, "majority")
	r.from("delete", fault{})
	dbtest.Ready(t, s)
	schema(schemaVersion + 1)
	dbtest.Unready(t, s, "newer viakv")
	schema(schemaVersion)
	dbtest.Ready(t, s)
	r.mu.Lock()
	kept := r.state
	r.state = nil
	r.mu.Unlock()
	dbtest.Unready(t, s, "viakv_state")
	r.mu.Lock()
	r.state = append(bson.D(nil), kept...)
	r.mu.Unlock()
	dbtest.Ready(t, s)
}

// TestMillionDocuments: a scan of a million documents keeps a few pages in memory. A clear under
// load then takes all of them.
func TestMillionDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a store with a million documents")
	}
	const documents = 1_000_000
	r := newStandIn(t)
	r.put(documents, []byte("a value of some forty characters, no less"))
	s := openOn(t, r.url())
	kvtest.ScanIsFlat(t, s, documents, 64<<20)
	kvtest.LargeClear(t, s, nil)
}
