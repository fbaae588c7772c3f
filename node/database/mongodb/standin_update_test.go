package mongodb

import (
	"bytes"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// updateItems obeys the updates of a command, less those that the fault refuses.
func (s *standIn) updateItems(updates []bson.Raw, f fault, dst []byte) []byte {
	var n, modified int32
	var upserted, refused bson.A
	for i, update := range updates {
		index := bson.E{Key: "index", Value: int32(i)}
		if slices.Contains(f.updates, i) {
			refused = append(refused, bson.D{index, {Key: "code", Value: f.code}, {Key: "errmsg", Value: f.name}})
			continue
		}
		key := update.Lookup("q", "_id").StringValue()
		_, value := update.Lookup("u", "$set", valueField).Binary()
		n++
		if _, there := s.items[key]; there {
			modified++
		} else {
			s.dirty = true
			upserted = append(upserted, bson.D{index, {Key: "_id", Value: key}})
		}
		s.items[key] = bytes.Clone(value)
	}
	answer := bson.D{{Key: "ok", Value: 1.0}, {Key: "n", Value: n}, {Key: "nModified", Value: modified}}
	if upserted != nil {
		answer = append(answer, bson.E{Key: "upserted", Value: upserted})
	}
	if refused != nil {
		answer = append(answer, bson.E{Key: "writeErrors", Value: refused})
	}
	return appendDoc(dst, answer)
}

func (s *standIn) updateState(update bson.Raw, dst []byte) []byte {
	var u struct {
		Insert bson.D           `bson:"$setOnInsert"`
		Raise  map[string]int64 `bson:"$inc"`
	}
	if err := bson.Unmarshal(update.Lookup("u").Document(), &u); err != nil {
		panic(err) // a fault in this test
	}
	there := s.state != nil
	if !there && u.Insert != nil {
		s.state = append(bson.D{{Key: "_id", Value: "viakv"}}, u.Insert...)
	}
	for i := range s.state {
		if by, ok := u.Raise[s.state[i].Key]; ok {
			s.state[i].Value = s.state[i].Value.(int64) + by
		}
	}
	return appendDoc(dst, bson.D{{Key: "ok", Value: 1.0}, {Key: "n", Value: int32(1)}, {Key: "nModified", Value: count(u.Raise != nil)}})
}

func count(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
