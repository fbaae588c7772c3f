package mongodb

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"viakv/api/kv"
	"viakv/node/database/stateless"
)

// maxFinds is how many keys one command asks for. It keeps an answer with the longest keys and
// values far below the server's limits, so that there is one answer (N7).
const maxFinds = 1000

// GetMany implements kv.Store. The keys of one command share its error (N7).
func (s *Store) GetMany(ctx context.Context, dst []byte, batch []kv.Read, o kv.Options) []byte {
	deadline := stateless.Until(o.Deadline, s.cfg.Timeout)
	for part := range slices.Chunk(batch, maxFinds) {
		places := make(map[string][]int, len(part)) // a key may stand twice
		for i := range part {
			key := string(part[i].Key)
			places[key] = append(places[key], i)
		}
		out := dst
		err := s.attempt(ctx, deadline, reads, func(ctx context.Context) (err error) {
			out, err = s.find(ctx, dst, part, places)
			return err
		})
		if err != nil {
			stateless.Answer(part, err)
			continue
		}
		dst = out
	}
	return dst
}

// find looks the keys of one command up. It appends their values to dst.
func (s *Store) find(ctx context.Context, dst []byte, part []kv.Read, places map[string][]int) ([]byte, error) {
	stateless.Answer(part, kv.ErrMissing)
	keys := make(bson.A, 0, len(places))
	for key := range places {
		keys = append(keys, key)
	}
	limit := int32(len(keys))
	o := options.Find().SetLimit(int64(limit)).SetBatchSize(limit)
	cursor, err := s.items.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}}, o)
	if err != nil {
		return dst, err
	}
	defer cursor.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the cursor is exhausted, or the command has failed already
	for cursor.Next(ctx) {
		key, ok := cursor.Current.Lookup("_id").StringValueOK()
		if !ok {
			return dst, s.foreignDocument()
		}
		_, v, ok := cursor.Current.Lookup(valueField).BinaryOK()
		for _, i := range places[key] {
			r := &part[i]
			if !ok {
				r.Err = s.foreignDocument()
				continue
			}
			begin := len(dst)
			dst = append(dst, v...)
			r.Value, r.Err = dst[begin:len(dst):len(dst)], nil
		}
	}
	return dst, cursor.Err()
}
