package mongodb

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// standIn stands in for a MongoDB replica set of one member. It speaks as much of the protocol as
// this store uses, answers from memory, records what it is asked, and fails on request. It shows
// what the store sends and how the store takes the answers. It does not show that MongoDB behaves
// so.
type standIn struct {
	listener net.Listener
	single   bool // act as a server without a replica set
	wg       sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	state  bson.D            // the document in viakv_state; nil: none
	items  map[string][]byte // the documents of viakv_items: value by key
	keys   []string          // the keys of items, sorted; out of date while dirty
	dirty  bool
	seen   map[string]bson.Raw // the last command of each name
	count  map[string]int      // commands by name
	sizes  []int               // how many updates each command carried
	named  []int               // how many keys each find by $in named
	before map[string][]fault  // by name, what becomes of the next commands
	always map[string]fault    // by name, what becomes of all later ones
	// done holds the answers to repeatable writes by session and number. MongoDB keeps the last one
	// of each session.
	done map[string][]byte
}

// fault is what becomes of a command.
type fault struct {
	code    int32  // refuse it with this code
	name    string // the name of the code
	labels  []string
	updates []int // refuse only the updates with these indexes
	concern bool  // obey, and report the code as a write concern error
	lose    bool  // obey, and break the connection instead of answering
	drop    bool  // break the connection without obeying
}

// newStandIn starts a stand-in that runs until the test ends.
func newStandIn(t testing.TB) *standIn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{
		listener: l, conns: map[net.Conn]struct{}{}, items: map[string][]byte{}, seen: map[string]bson.Raw{}, count: map[string]int{},
		before: map[string][]fault{}, always: map[string]fault{}, done: map[string][]byte{},
	}
	s.wg.Go(s.accept)
	t.Cleanup(s.close)
	return s
}

func (s *standIn) url() string { return "mongodb://" + s.listener.Addr().String() + "/db" }

// next sets what becomes of the next commands of a name.
func (s *standIn) next(name string, faults ...fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before[name] = faults
}

// from makes all commands of a name meet the fault from now on. The zero fault ends that.
func (s *standIn) from(name string, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always[name] = f
}

// last returns the last command of a name, and how many there were.
func (s *standIn) last(name string) (bson.Raw, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[name], s.count[name]
}

// put adds documents without the protocol.
func (s *standIn) put(n int, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		s.items[fmt.Sprintf("key %09d", i)] = value
	}
	s.dirty = true
}

func (s *standIn) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *standIn) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(c)
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

func (s *standIn) serve(c net.Conn) {
	in := bufio.NewReaderSize(c, 64<<10)
	var buffer, doc, out []byte
	for {
		q, b, err := message(in, buffer)
		buffer = b
		if err != nil {
			return
		}
		if doc, err = s.obey(q, doc[:0]); err != nil {
			return
		}
		out = appendReply(out[:0], q, doc)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

var errHangUp = errors.New("hang up")

// obey carries a command out and appends its answer.
func (s *standIn) obey(q request, dst []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.name != "hello" && q.name != "isMaster" && q.name != "ismaster" {
		s.seen[q.name] = append(bson.Raw(nil), q.command...)
		s.count[q.name]++
		if q.name == "update" {
			s.sizes = append(s.sizes, len(q.batch))
		}
	}
	f := s.always[q.name]
	if waiting := s.before[q.name]; len(waiting) > 0 {
		f, s.before[q.name] = waiting[0], waiting[1:]
	}
	switch {
	case f.drop:
		return dst, errHangUp
	case f.code != 0 && !f.concern && f.updates == nil:
		refusal := bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: f.code}, {Key: "codeName", Value: f.name}, {Key: "errmsg", Value: f.name}}
		if f.labels != nil {
			refusal = append(refusal, bson.E{Key: "errorLabels", Value: f.labels})
		}
		return appendDoc(dst, refusal), nil
	}
	// A write that is sent again gets the answer that it got first.
	session := repeatable(q.command)
	if answer, ok := s.done[session]; ok && session != "" {
		if f.lose {
			return dst, errHangUp
		}
		return append(dst, answer...), nil
	}
	start := len(dst)
	dst = s.run(q, f, dst)
	if f.concern {
		var answer bson.D
		if err := bson.Unmarshal(dst[start:], &answer); err != nil {
			return dst, err
		}
		dst = appendDoc(dst[:start], append(answer, bson.E{Key: "writeConcernError", Value: bson.D{{Key: "code", Value: f.code}, {Key: "errmsg", Value: f.name}}}))
	}
	if session != "" {
		s.done[session] = bytes.Clone(dst[start:])
	}
	if f.lose {
		return dst, errHangUp
	}
	return dst, nil
}

// repeatable returns the session and number by which the server recognises a write that the driver
// may send again. It returns the empty string for any other command.
func repeatable(command bson.Raw) string {
	number, err := command.LookupErr("txnNumber")
	if err != nil {
		return ""
	}
	return string(command.Lookup("lsid").Value) + string(number.Value)
}

func (s *standIn) run(q request, f fault, dst []byte) []byte {
	collection, _ := q.command.Index(0).Value().StringValueOK()
	switch q.name {
	case "hello", "isMaster", "ismaster":
		return appendDoc(dst, s.hello())
	case "find":
		if collection == stateName {
			return s.findState(dst)
		}
		return s.findItems(q.command, dst)
	case "update":
		if collection == stateName {
			return s.updateState(q.batch[0], dst)
		}
		return s.updateItems(q.batch, f, dst)
	case "delete":
		key := q.batch[0].Lookup("q", "_id").StringValue()
		_, there := s.items[key]
		if there {
			delete(s.items, key)
			s.dirty = true
		}
		return appendDoc(dst, bson.D{{Key: "ok", Value: 1.0}, {Key: "n", Value: count(there)}})
	case "drop":
		s.items, s.dirty = map[string][]byte{}, true
		return appendDoc(dst, bson.D{{Key: "ok", Value: 1.0}})
	case "listCollections":
		return appendCursor(dst, func(i int32, dst []byte) (int32, []byte) { return i, dst })
	}
	return appendDoc(dst, bson.D{{Key: "ok", Value: 1.0}}) // endSessions
}

func (s *standIn) hello() bson.D {
	d := bson.D{
		{Key: "ok", Value: 1.0}, {Key: "helloOk", Value: true}, {Key: "isWritablePrimary", Value: true}, {Key: "ismaster", Value: true},
		{Key: "maxBsonObjectSize", Value: int32(16 << 20)}, {Key: "maxMessageSizeBytes", Value: int32(48_000_000)}, {Key: "maxWriteBatchSize", Value: int32(100_000)},
		{Key: "minWireVersion", Value: int32(0)}, {Key: "maxWireVersion", Value: int32(21)}, {Key: "logicalSessionTimeoutMinutes", Value: int32(30)},
	}
	if !s.single {
		me := s.listener.Addr().String()
		d = append(d, bson.D{
			{Key: "setName", Value: "rs"}, {Key: "setVersion", Value: int32(1)}, {Key: "me", Value: me}, {Key: "primary", Value: me}, {Key: "hosts", Value: bson.A{me}},
		}...)
	}
	return d
}

func (s *standIn) findState(dst []byte) []byte {
	return appendCursor(dst, func(i int32, dst []byte) (int32, []byte) {
		if s.state == nil {
			return i, dst
		}
		dst = bsoncore.AppendHeader(dst, bsoncore.TypeEmbeddedDocument, "0")
		return 1, appendDoc(dst, s.state)
	})
}

// findItems answers at once with all documents within the bounds, up to the limit.
func (s *standIn) findItems(command bson.Raw, dst []byte) []byte {
	if key, ok := command.Lookup("filter", "_id").StringValueOK(); ok {
		return appendCursor(dst, func(i int32, dst []byte) (int32, []byte) {
			v, there := s.items[key]
			if !there {
				return i, dst
			}
			return 1, appendItem(dst, key, v, true)
		})
	}
	if in, ok := command.Lookup("filter", "_id", "$in").ArrayOK(); ok {
		return s.findNamed(in, dst)
	}
	if s.dirty {
		s.keys = s.keys[:0]
		for k := range s.items {
			s.keys = append(s.keys, k)
		}
		slices.Sort(s.keys)
		s.dirty = false
	}
	text := func(operator string) (string, bool) { return command.Lookup("filter", "_id", operator).StringValueOK() }
	from := 0
	if low, ok := text("$gte"); ok {
		from, _ = slices.BinarySearch(s.keys, low)
	}
	if low, ok := text("$gt"); ok {
		var found bool
		if from, found = slices.BinarySearch(s.keys, low); found {
			from++
		}
	}
	to := len(s.keys)
	if high, ok := text("$lt"); ok {
		to, _ = slices.BinarySearch(s.keys, high)
	}
	if limit, ok := command.Lookup("limit").AsInt64OK(); ok && limit > 0 {
		to = min(to, from+int(limit))
	}
	_, err := command.LookupErr("projection")
	values := err != nil
	return appendCursor(dst, func(i int32, dst []byte) (int32, []byte) {
		for ; from < to; from, i = from+1, i+1 {
			dst = appendItem(dst, s.keys[from], s.items[s.keys[from]], values)
		}
		return i, dst
	})
}

// findNamed answers with the documents of these keys.
func (s *standIn) findNamed(in bson.RawArray, dst []byte) []byte {
	keys, err := in.Values()
	if err != nil {
		panic(err) // a fault in this test
	}
	s.named = append(s.named, len(keys))
	return appendCursor(dst, func(i int32, dst []byte) (int32, []byte) {
		for _, key := range keys {
			if v, there := s.items[key.StringValue()]; there {
				dst = appendItem(dst, key.StringValue(), v, true)
				i++
			}
		}
		return i, dst
	})
}

func appendDoc(dst []byte, d bson.D) []byte {
	b, err := bson.Marshal(d)
	if err != nil {
		panic(err) // a fault in this test
	}
	return append(dst, b...)
}

// appendCursor appends an answer. fill appends its documents, which are array elements from 0 on.
func appendCursor(dst []byte, fill func(i int32, dst []byte) (int32, []byte)) []byte {
	whole, dst := bsoncore.AppendDocumentStart(dst)
	cursor, dst := bsoncore.AppendDocumentElementStart(dst, "cursor")
	dst = bsoncore.AppendInt64Element(dst, "id", 0)
	dst = bsoncore.AppendStringElement(dst, "ns", "db.c")
	batch, dst := bsoncore.AppendArrayElementStart(dst, "firstBatch")
	_, dst = fill(0, dst)
	dst, _ = bsoncore.AppendArrayEnd(dst, batch) // this and the next ones fail only on a wrong start
	dst, _ = bsoncore.AppendDocumentEnd(dst, cursor)
	dst = bsoncore.AppendDoubleElement(dst, "ok", 1)
	dst, _ = bsoncore.AppendDocumentEnd(dst, whole)
	return dst
}

func appendItem(dst []byte, key string, value []byte, values bool) []byte {
	dst = bsoncore.AppendHeader(dst, bsoncore.TypeEmbeddedDocument, "0") // no reader looks at the index
	doc, dst := bsoncore.AppendDocumentStart(dst)
	dst = bsoncore.AppendStringElement(dst, "_id", key)
	if values {
		dst = bsoncore.AppendBinaryElement(dst, valueField, 0, value)
	}
	dst, _ = bsoncore.AppendDocumentEnd(dst, doc)
	return dst
}
