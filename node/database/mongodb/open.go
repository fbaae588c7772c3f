package mongodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"viakv/api/kv"
	"viakv/node/database/stateless"
)

const (
	stateName = "viakv_state"
	itemsName = "viakv_items"

	// schemaVersion is the version of the documents. A later version needs a step in prepare that
	// converts documents of this version.
	schemaVersion = 1
)

var stateFilter = bson.D{{Key: "_id", Value: "viakv"}}

// stateDocument is the one document in viakv_state.
type stateDocument struct {
	Schema     int32  `bson:"schema"`
	Generation int64  `bson:"generation"`
	CursorKey  []byte `bson:"cursorKey"`
}

// Open connects, makes the state document when there is none, and checks that this user may do all
// that requests will need. It waits for a database that cannot be reached yet. A database that
// refuses is an error at once, which says what to do.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, stateless.DefaultTimeout)
	t, err := cfg.parse()
	if err != nil {
		return nil, err
	}
	s := &Store{Cluster: stateless.Cluster{Mode: "mongodb", Self: cfg.Name}, cfg: cfg, scrub: t.scrub}
	s.connections.limit = int64(*t.options.MaxPoolSize)
	t.options.SetMonitor(commandMonitor()).SetPoolMonitor(s.connections.monitor())
	if s.client, err = mongo.Connect(t.options); err != nil {
		return nil, s.scrub.Error(err)
	}
	s.Probe = stateless.NewProbe(s.check)
	err = stateless.Start(ctx, s.scrub, func(err error) (string, bool) { return diagnose(err, t) }, func(ctx context.Context) error {
		return s.prepare(ctx, t)
	})
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// prepare makes the database ready.
func (s *Store) prepare(ctx context.Context, t target) error {
	single, several, err := s.concerns(ctx, t)
	if err != nil {
		return err
	}
	db := s.client.Database(t.database)
	s.state = db.Collection(stateName, options.Collection().SetReadConcern(single))
	s.items = db.Collection(itemsName, options.Collection().SetReadConcern(single))
	s.pages = db.Collection(itemsName, options.Collection().SetReadConcern(several))
	if err := simpleCollation(ctx, db); err != nil {
		return err
	}
	// Several nodes may do this at once. The first makes the document, and all then read the same
	// one.
	_, err = s.state.UpdateOne(ctx, stateFilter, bson.D{{Key: "$setOnInsert", Value: bson.D{
		{Key: "schema", Value: int32(schemaVersion)},
		{Key: "generation", Value: int64(1)},
		{Key: "cursorKey", Value: bson.Binary{Data: stateless.NewCursorKey()}},
	}}}, upsert)
	if err != nil && !hasCode(err, duplicateKey) {
		return err
	}
	state, err := s.readState(ctx)
	if err != nil {
		return err
	}
	if state.Schema > schemaVersion {
		return newerSchema(state.Schema)
	}
	if err := s.removeNothing(ctx); err != nil {
		return err
	}
	s.Generation.Note(state.Generation)
	s.seal = stateless.NewSeal(state.CursorKey)
	return nil
}

var (
	// errNewerSchema says that a newer program has migrated the documents.
	errNewerSchema = errors.New("the schema in the database is newer than this program")
	errForeign     = errors.New("viakv_state is not viakv's: use another database")
	errCollation   = errors.New("the collection viakv_items has a collation, under which different keys may be equal: drop it, or use another database")
)

func newerSchema(found int32) error {
	return fmt.Errorf("%w: version %d, and this program knows versions up to %d; run a newer viakv", errNewerSchema, found, schemaVersion)
}

// concerns returns the read concerns for one key and for many (N2).
func (s *Store) concerns(ctx context.Context, t target) (single, several *readconcern.ReadConcern, err error) {
	var hello struct {
		SetName string `bson:"setName"`
		Message string `bson:"msg"`
	}
	if err := s.client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return nil, nil, err
	}
	if hello.SetName == "" && hello.Message != "isdbgrid" {
		return readconcern.Local(), readconcern.Local(), nil // a single server offers no other concern
	}
	if c := t.options.ReadConcern; c != nil && c.Level == readconcern.Majority().Level {
		return c, c, nil
	}
	return readconcern.Linearizable(), readconcern.Majority(), nil
}

func simpleCollation(ctx context.Context, db *mongo.Database) error {
	found, err := db.ListCollectionSpecifications(ctx, bson.D{{Key: "name", Value: itemsName}})
	if err != nil {
		return err
	}
	for _, c := range found {
		if _, err := c.Options.LookupErr("collation"); err == nil {
			return errCollation
		}
	}
	return nil
}

// readState reads the state document. The read is linearizable where reads of items are.
func (s *Store) readState(ctx context.Context) (stateDocument, error) {
	var d stateDocument
	err := s.state.FindOne(ctx, stateFilter).Decode(&d)
	if err == nil && (d.Generation < 1 || len(d.CursorKey) != stateless.CursorKeyBytes) {
		return d, errForeign
	}
	return d, err
}

// diagnose says what is wrong when a store cannot be opened, and whether waiting is pointless.
func diagnose(err error, t target) (reason string, final bool) {
	switch {
	case hasCode(err, authFailed):
		return "the database refuses the user: wrong user or password, or the URL needs authSource=", true
	case hasCode(err, unauthorized):
		return fmt.Sprintf("the user may not write in database %q: grant it the role readWrite", t.database), true
	case errors.Is(err, errNewerSchema):
		return "this program is too old for the database", true
	case errors.Is(err, errForeign), errors.Is(err, errCollation):
		return "the database is not usable", true
	}
	if codes, _ := codesOf(err); len(codes) > 0 && effectOf(err, 1) == nothing {
		return "the database refused", true
	}
	return fmt.Sprintf("the database at %v cannot be reached", t.options.Hosts), false
}

// stateError turns an error of readState into the error of a request.
func (s *Store) stateError(err error) error {
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return s.unavailable(kv.None, "the database has lost the document in viakv_state: restore it, or restart the nodes to make a new one", nil)
	case errors.Is(err, errForeign):
		return s.unavailable(kv.None, "the database is not usable", err)
	}
	return err
}

// check is the check of the probe. It finds out whether a primary answers, takes writes from this
// user and can have them confirmed, and whether the documents are ones that this program knows.
func (s *Store) check(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	err := s.attempt(ctx, deadline, reads, func(ctx context.Context) error {
		d, err := s.readState(ctx)
		s.Generation.Note(d.Generation)
		if err == nil && d.Schema > schemaVersion {
			return s.unavailable(kv.None, "a newer viakv has brought the database's documents up to its own: run that one here, too", newerSchema(d.Schema))
		}
		return s.stateError(err)
	})
	if err != nil {
		return err
	}
	return s.attempt(ctx, deadline, reads, s.removeNothing)
}

// removeNothing is a write that changes nothing, because no key is empty. It fails where a write
// that changes something would fail: without the right to write, without a primary, or without a
// majority.
func (s *Store) removeNothing(ctx context.Context) error {
	_, err := s.items.DeleteOne(ctx, byKey(nil))
	return err
}
