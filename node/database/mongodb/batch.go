package mongodb

import (
	"context"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"viakv/api/kv"
	"viakv/node/database/stateless"
	"viakv/quorum/version"
)

// maxUpserts is how many values one command carries. It keeps a command of the longest keys and
// values far below the server's limits, so that the driver never splits it into two (N6).
const maxUpserts = 1000

var unordered = options.BulkWrite().SetOrdered(false)

// SetMany implements kv.Store. Each value is stored by itself: a batch is no transaction (N6).
func (s *Store) SetMany(ctx context.Context, writes []kv.Write, o kv.Options) {
	deadline := stateless.Until(o.Deadline, s.cfg.Timeout)
	for part := range slices.Chunk(writes, maxUpserts) {
		b := batch{store: s, left: make([]*kv.Write, len(part))}
		for i := range part {
			part[i].Version, part[i].Err = version.Tag{}, nil
			b.left[i] = &part[i]
		}
		if err := s.attempt(ctx, deadline, mutates, b.send); err != nil {
			for _, w := range b.left {
				w.Err = err
			}
		}
	}
}

// batch is the values of one command.
type batch struct {
	store *Store
	left  []*kv.Write // those whose outcome is not yet known
}

// send sends one command with the values that are left, and sets the outcome of each that the
// answer tells. It returns an error when values are left: the error is theirs.
func (b *batch) send(ctx context.Context) error {
	models := make([]mongo.WriteModel, len(b.left))
	for i, w := range b.left {
		models[i] = mongo.NewUpdateOneModel().SetFilter(byKey(w.Key)).SetUpdate(setValue(w.Value)).SetUpsert(true)
	}
	_, err := b.store.items.BulkWrite(ctx, models, unordered)
	answer, ok := errors.AsType[mongo.BulkWriteException](err)
	switch {
	case err == nil:
		b.left = nil
		return nil
	case ok:
		return b.take(answer, sendingsOf(ctx))
	case len(b.left) > 1 && sendingsOf(ctx) > 0 && !beganNothing(err):
		return b.store.unavailable(kv.Unknown, "the database ended the command, and does not say which values it has stored", err)
	}
	return err
}

// take sets the outcomes by an answer with errors. A value with an error of its own was not stored,
// in the way of a single set. All others were, and have outcome unknown where no majority confirmed
// the command.
func (b *batch) take(answer mongo.BulkWriteException, sendings int32) error {
	var confirmed error
	if c := answer.WriteConcernError; c != nil {
		confirmed = b.store.unavailable(kv.Unknown, notConfirmed, mongo.WriteException{WriteConcernError: c})
	}
	again := b.left[:0:0]
	var why mongo.WriteException
	own := make([]bool, len(b.left)) // the value has an error of its own
	for _, we := range answer.WriteErrors {
		w, err := b.left[we.Index], mongo.WriteException{WriteErrors: mongo.WriteErrors{we.WriteError}}
		own[we.Index] = true
		switch effectOnOne(err, sendings) {
		case transient:
			again = append(again, w)
			why.WriteErrors = append(why.WriteErrors, we.WriteError)
		case nothing:
			w.Err = b.store.unavailable(kv.None, reasonOf(err), err)
		case open:
			w.Err = b.store.unavailable(kv.Unknown, notConfirmed, err)
		}
	}
	for i, w := range b.left {
		if !own[i] {
			w.Err = confirmed
		}
	}
	b.left = again
	if len(again) > 0 {
		return why
	}
	return nil
}

// effectOnOne classifies the error of one value. A router gives it to every value that it sent to a
// shard when the shard's command ended as a whole, perhaps behind some of the values. So a lost
// primary leaves the value's outcome open.
func effectOnOne(err error, sendings int32) effect {
	if hasCode(err, notWritablePrimary) || hasCode(err, notPrimary) {
		return open
	}
	return effectOf(err, sendings)
}

// beganNothing reports whether a command that failed as a whole certainly stored none of its
// values: the server refused it before the first one, or says so.
func beganNothing(err error) bool {
	return hasCode(err, unauthorized) || hasCode(err, authFailed) || noWrites(err)
}

func setValue(value []byte) bson.D {
	return bson.D{{Key: "$set", Value: bson.D{{Key: valueField, Value: bson.Binary{Data: value}}}}}
}
