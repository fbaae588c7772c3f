package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
	"viakv/ring/keyspace"
)

var (
	stamp  = Stamp{Cluster: 0x1122334455667788, Epoch: 300, To: 7, From: 5, Mark: 69000}
	live   = version.Record{Tag: version.Tag{Generation: 2, Counter: 1000, Incarnation: 5}, Vector: version.Vector{3, 9}, Value: []byte("value")}
	tomb   = version.Record{Tag: version.Tag{Generation: 2, Counter: 1000, Incarnation: 5, Removed: true}, Owner: version.Operation{Incarnation: 7, Sequence: 12}}
	trace  = kv.Trace{ID: [16]byte{0x4b, 15: 0x36}, Parent: [8]byte{0x10, 7: 0xb7}, Flags: 1}
	memory = MemoryReport{Full: true, Bytes: 9 << 20, Limit: 2 << 20}
	ranges = []keyspace.Range{{From: 1, To: 2}, {From: 1 << 56}}
	names  = []lease.Name{{Holder: 5, Session: 3}, {Holder: 7, Session: 200}}
	digest = replica.Digest{Records: 0x201}
	marks  = []watermark.Mark{{Incarnation: 3, Below: 70000}, {Incarnation: 4, Below: 1}}
	tags   = []replica.TagAt{{Rank: 5, Tag: live.Tag}, {Rank: 6, Shared: true}, {Rank: 500, Tag: tomb.Tag, Owner: tomb.Owner}}
)

var figures = kv.Figures{Process: 0x1122334455667788, ReadsAnswered: 1 << 20, ReadsRefused: 3, WritesAnswered: 900, WritesRefused: 1,
	Took: [len(kv.LatencyBounds) + 1]uint64{0: 7, 3: 1 << 19, 17: 2}}

// messages are all the bodies, each with its decoder.
var messages = []struct {
	name   string
	bytes  []byte
	decode func([]byte) (any, error)
	want   any
}{
	{"read", AppendRead(nil, &ReadRequest{Value: true, Have: live.Tag, Key: []byte("key")}),
		func(b []byte) (any, error) { return ParseRead(b) }, ReadRequest{Value: true, Have: live.Tag, Key: []byte("key")}},
	{"read-reply", AppendReadReply(nil, &ReadReply{Full: true, Names: names, Record: live}, false),
		func(b []byte) (any, error) { return ParseReadReply(nil, b, false) }, ReadReply{Full: true, Names: names, Record: live}},
	{"read-same", AppendReadReply(nil, &ReadReply{Full: true, Confirmed: true, Record: live}, true),
		func(b []byte) (any, error) { return ParseReadReply(nil, b, true) }, ReadReply{Full: true, Confirmed: true}},
	{"store", AppendStore(nil, 300, []byte("key"), &live),
		func(b []byte) (any, error) { return ParseStore(b) }, StoreRequest{Relied: 300, Key: []byte("key"), Record: live}},
	{"vote", AppendStore(nil, 0, []byte("key"), &tomb),
		func(b []byte) (any, error) { return ParseStore(b) }, StoreRequest{Key: []byte("key"), Record: withVector(tomb)}},
	{"acknowledgement", AppendAcknowledgement(nil, &Acknowledgement{Names: names}),
		func(b []byte) (any, error) { return ParseAcknowledgement(nil, b, 10) }, Acknowledgement{Names: names}},
	{"acknowledgement-with-doubts", AppendAcknowledgement(nil, &Acknowledgement{Names: names, Doubted: []byte{5, 2}}),
		func(b []byte) (any, error) { return ParseAcknowledgement(nil, b, 10) }, Acknowledgement{Names: names, Doubted: []byte{5, 2}}},
	{"lease", AppendLease(nil, &LeaseRequest{Wanted: true, Counts: 300, Returned: 2}),
		func(b []byte) (any, error) { return ParseLease(b) }, LeaseRequest{Wanted: true, Counts: 300, Returned: 2}},
	{"lease-reply", AppendLeaseReply(nil, &LeaseReply{Session: 300}),
		func(b []byte) (any, error) { return ParseLeaseReply(b) }, LeaseReply{Session: 300}},
	{"lease-reply-of-a-new-session", AppendLeaseReply(nil, &LeaseReply{Session: 301, Digest: &digest}),
		func(b []byte) (any, error) { return ParseLeaseReply(b) }, LeaseReply{Session: 301, Digest: &digest}},
	{"close", AppendClose(nil, names[1]), func(b []byte) (any, error) { return ParseClose(b) }, names[1]},
	{"closed", AppendClosed(nil, time.Millisecond), func(b []byte) (any, error) { return ParseClosed(b) }, time.Millisecond},
	{"heartbeat", AppendHeartbeat(nil, &MemberReport{MemoryReport: memory, Figures: figures, Departed: marks, Sealed: 299}),
		func(b []byte) (any, error) { return ParseHeartbeat(b) }, MemberReport{MemoryReport: memory, Figures: figures, Departed: marks, Sealed: 299}},
	{"heartbeat-without-figures", AppendHeartbeat(nil, &MemberReport{MemoryReport: memory}),
		func(b []byte) (any, error) { return ParseHeartbeat(b) }, MemberReport{MemoryReport: memory}},
	{"remove", AppendRemove(nil, &RemoveRequest{Key: []byte("key"), R: kv.QuorumAll, W: 2, Left: 1500 * time.Millisecond, Sequence: 9}),
		func(b []byte) (any, error) { return ParseRemove(b) },
		RemoveRequest{Key: []byte("key"), R: kv.QuorumAll, W: 2, Left: 1500 * time.Millisecond, Sequence: 9}},
	{"remove-of-a-trace", AppendRemove(nil, &RemoveRequest{Key: []byte("key"), Sequence: 9, Trace: trace}),
		func(b []byte) (any, error) { return ParseRemove(b) }, RemoveRequest{Key: []byte("key"), Sequence: 9, Trace: trace}},
	{"ranges", AppendRanges(nil, ranges),
		func(b []byte) (any, error) { return ParseRanges(nil, b) }, ranges},
	{"digests", AppendDigests(nil, []replica.Digest{{Records: 0x201}, {Records: 3}}),
		func(b []byte) (any, error) { return ParseDigests(nil, b) }, []replica.Digest{{Records: 0x201}, {Records: 3}}},
	{"range", AppendRangeRequest(nil, RangeRequest{Range: ranges[0], Max: 1 << 20}),
		func(b []byte) (any, error) { return ParseRangeRequest(b) }, RangeRequest{Range: ranges[0], Max: 1 << 20}},
	{"range-behind-a-key", AppendRangeRequest(nil, RangeRequest{Range: ranges[1], After: []byte("key"), Max: 9}),
		func(b []byte) (any, error) { return ParseRangeRequest(b) }, RangeRequest{Range: ranges[1], After: []byte("key"), Max: 9}},
	{"tags", AppendTags(nil, 99, tags),
		func(b []byte) (any, error) {
			next, tags, err := ParseTags(nil, b)
			return tagsAndNext{next, tags}, err
		}, tagsAndNext{99, tags}},
	{"ranks", AppendRanks(nil, []keyspace.Rank{1, 1 << 60}, nil), parseRanks, ranksAndAfter{[]keyspace.Rank{1, 1 << 60}, nil}},
	{"ranks-behind-a-key", AppendRanks(nil, []keyspace.Rank{7}, []byte("key")), parseRanks, ranksAndAfter{[]keyspace.Rank{7}, []byte("key")}},
	{"records", AppendNext(AppendEntry(AppendEntry(nil, []byte("a"), &live), []byte("b"), &tomb), keyspace.Place{Rank: 77}), parseRecords,
		recordsAndNext{[]replica.Entry{{Key: []byte("a"), Record: live}, {Key: []byte("b"), Record: withVector(tomb)}}, keyspace.Place{Rank: 77}}},
	{"records-up-to-a-key", AppendNext(AppendEntry(nil, []byte("a"), &live), keyspace.Place{Rank: 77, Key: []byte("a")}), parseRecords,
		recordsAndNext{[]replica.Entry{{Key: []byte("a"), Record: live}}, keyspace.Place{Rank: 77, Key: []byte("a")}}},
	{"list", AppendList(nil, 4, []replica.Tombstone{{Key: []byte("key"), Tag: tomb.Tag}}),
		func(b []byte) (any, error) { _, l, err := ParseList(nil, b); return l, err }, []replica.Tombstone{{Key: []byte("key"), Tag: tomb.Tag}}},
}

// These types hold bodies that decode to more than one value.
type (
	tagsAndNext struct {
		next keyspace.Rank
		tags []replica.TagAt
	}
	ranksAndAfter struct {
		ranks []keyspace.Rank
		after []byte
	}
	recordsAndNext struct {
		records []replica.Entry
		next    keyspace.Place
	}
)

func parseRanks(b []byte) (any, error) {
	ranks, after, err := ParseRanks(nil, b)
	return ranksAndAfter{ranks, after}, err
}

func parseRecords(b []byte) (any, error) {
	next, records, err := ParseRecords(nil, b)
	return recordsAndNext{records, next}, err
}

// withVector returns a record as it decodes when it was encoded without a vector: the vector is
// empty, not nil.
func withVector(r version.Record) version.Record { r.Vector = version.Vector{}; return r }

// The bytes are the protocol: changing them needs a new protocol version.
func TestGolden(t *testing.T) {
	encoded := map[string][]byte{
		"request": AppendRequest(nil, Stores, stamp),
		"reply":   AppendReply(nil, OK, 70000, 69990, 300),
	}
	for _, m := range messages {
		encoded[m.name] = m.bytes
	}
	datadriven.RunTest(t, "testdata/messages", func(_ *testing.T, d *datadriven.TestData) string {
		b := encoded[d.Cmd]
		delete(encoded, d.Cmd)
		return hex.EncodeToString(b) + "\n"
	})
	for name := range encoded {
		t.Errorf("%s is not in testdata/messages", name)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, m := range messages {
		got, err := m.decode(m.bytes)
		if err != nil || !reflect.DeepEqual(got, m.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", m.name, got, err, m.want)
		}
	}
	op, s, body, err := ParseRequest(append(AppendRequest(nil, Vote, stamp), "rest"...))
	if op != Vote || s != stamp || string(body) != "rest" || err != nil {
		t.Errorf("request: %v %+v %q %v", op, s, body, err)
	}
	r, err := ParseReply(append(AppendReply(nil, Nack, 70000, 69990, 300), "rest"...))
	if r.Status != Nack || r.Counter != 70000 || r.Mark != 69990 || r.Epoch != 300 || string(r.Body) != "rest" || err != nil {
		t.Errorf("reply: %+v %v", r, err)
	}
}

// Every proper prefix of a message is malformed, and so is a message with anything behind it.
func TestNothingButWholeMessages(t *testing.T) {
	for _, m := range messages {
		for n := range m.bytes {
			if _, err := m.decode(m.bytes[:n:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s cut after %d of %d bytes: %v", m.name, n, len(m.bytes), err)
			}
		}
		if _, err := m.decode(append(bytes.Clone(m.bytes), 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a byte behind it: %v", m.name, err)
		}
	}
	for _, b := range [][]byte{nil, {0}, AppendRequest(nil, Read, stamp)[:9]} {
		if _, _, _, err := ParseRequest(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("request %x: %v", b, err)
		}
		if _, err := ParseReply(b); !errors.Is(err, ErrMalformed) && len(b) < 3 {
			t.Errorf("reply %x: %v", b, err)
		}
	}
}

func TestLimits(t *testing.T) {
	longKey := bytes.Repeat([]byte("k"), kv.MaxKeyBytes+1)
	bad := map[string]error{}
	_, bad["long key"] = ParseRead(AppendRead(nil, &ReadRequest{Key: longKey}))
	_, bad["no key"] = ParseRead(AppendRead(nil, &ReadRequest{}))
	_, bad["long value"] = ParseStore(AppendStore(nil, 0, []byte("k"), &version.Record{Tag: live.Tag, Value: make([]byte, kv.MaxValueBytes+1)}))
	_, bad["no tag"] = ParseStore(AppendStore(nil, 0, []byte("k"), &version.Record{}))
	_, bad["bad vector"] = ParseStore(AppendStore(nil, 0, []byte("k"), &version.Record{Tag: live.Tag, Vector: version.Vector{9, 9, 3, 3}}))
	_, bad["too many ranges"] = ParseRanges(nil, AppendRanges(nil, make([]keyspace.Range, MaxRanges+1)))
	_, _, bad["a count without content"] = ParseRanks(nil, []byte{0xff, 0x1f})
	_, _, bad["ranks that do not ascend"] = ParseRanks(nil, AppendRanks(nil, []keyspace.Rank{2, 2}, nil))
	_, _, bad["tags that do not ascend"] = ParseTags(nil, AppendTags(nil, 0, []replica.TagAt{{Rank: 2, Tag: live.Tag}, {Rank: 2, Shared: true}}))
	_, _, bad["tags that go down"] = ParseTags(nil, AppendTags(nil, 0, []replica.TagAt{{Rank: 2, Tag: live.Tag}, {Rank: 1, Shared: true}}))
	_, _, bad["too many records"] = ParseRecords(nil, AppendNext(bytes.Repeat(AppendEntry(nil, []byte("k"), &live), MaxRecords+1), keyspace.Place{}))
	_, _, bad["records without an end"] = ParseRecords(nil, AppendEntry(nil, []byte("k"), &live))
	_, _, bad["a place behind a long key"] = ParseRecords(nil, AppendNext(nil, keyspace.Place{Key: longKey}))
	_, bad["a range behind a long key"] = ParseRangeRequest(AppendRangeRequest(nil, RangeRequest{After: longKey}))
	_, bad["range upside down"] = ParseRangeRequest(AppendRangeRequest(nil, RangeRequest{Range: keyspace.Range{From: 5, To: 3}}))
	_, _, bad["a list of values"] = ParseList(nil, AppendList(nil, 1, []replica.Tombstone{{Key: []byte("k"), Tag: live.Tag}}))
	_, bad["half a trace"] = ParseRemove(append(AppendRemove(nil, &RemoveRequest{Key: []byte("k")})[:6], 1, 7))
	_, bad["a trace without a parent"] = ParseRemove(AppendRemove(nil, &RemoveRequest{Key: []byte("k"), Trace: kv.Trace{Flags: 1}}))
	_, bad["figures of no process"] = ParseHeartbeat(append([]byte{0, 0, 0, 1}, make([]byte, 8+4+len(figures.Took))...))
	_, bad["too many names"] = ParseAcknowledgement(nil, AppendAcknowledgement(nil, &Acknowledgement{Names: slices.Repeat(names, lease.MaxNames)}), 1)
	for what, doubted := range map[string][]byte{"no doubt": {0, 0}, "a doubt of no record": {0, 4}, "too few doubts": {1}, "too many doubts": {1, 0, 0}} {
		_, bad[what] = ParseAcknowledgement(nil, AppendAcknowledgement(nil, &Acknowledgement{Doubted: doubted}), 10)
	}
	_, bad["no doubts"] = ParseAcknowledgement(nil, []byte{1, 0}, 10)
	_, _, bad["a store of no record"] = NextStore(AppendStore(nil, 0, []byte("k"), &version.Record{}))
	_, bad["a name of nobody"] = ParseClose([]byte{0, 1})
	_, bad["a name of no session"] = ParseClose([]byte{1, 0})
	_, bad["over in an hour"] = ParseClosed(AppendClosed(nil, time.Hour))
	_, bad["unknown flags"] = ParseReadReply(nil, []byte{4}, true)
	_, bad["a watermark above the counter"] = ParseReply([]byte{byte(OK), 5, 7, 1})
	_, bad["too many watermarks"] = ParseHeartbeat(AppendHeartbeat(nil, &MemberReport{Departed: make([]watermark.Mark, watermark.MaxMarks+1)}))
	_, _, bad["a long form of a number"] = ParseRanks(nil, []byte{0x80, 0})
	for what, err := range bad {
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ParseRead(AppendRead(nil, &ReadRequest{Key: longKey[1:]})); err != nil {
		t.Errorf("the longest key: %v", err)
	}
}

// Heartbeats go to each member twice a second, so they are small, whatever a node has counted.
func TestHeartbeatsAreSmall(t *testing.T) {
	const most = 1<<49 - 1
	r := MemberReport{MemoryReport: MemoryReport{Bytes: most, Limit: most}, Figures: kv.Figures{Process: 1, ReadsAnswered: most, ReadsRefused: most,
		WritesAnswered: most, WritesRefused: most}}
	for i := range r.Figures.Took {
		r.Figures.Took[i] = most
	}
	if n := len(AppendHeartbeat(nil, &r)); n >= 200 {
		t.Errorf("%d bytes", n)
	}
}

func TestLongMetadata(t *testing.T) {
	var s version.Seen
	for i := range version.MaxVectorEntries {
		s.Add(&version.Record{Tag: version.Tag{Counter: 1 << 60, Incarnation: version.Incarnation(1<<50 + i)}})
	}
	r := version.Record{Tag: live.Tag, Vector: s.Append(nil, 5, func(version.Incarnation) bool { return true }), Value: []byte("v")}
	got, err := ParseStore(AppendStore(nil, 0, []byte("k"), &r))
	if err != nil || !reflect.DeepEqual(got.Record, r) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 4096)
	request := AppendRead(nil, &ReadRequest{Value: true, Have: live.Tag, Key: []byte("key")})
	store := AppendStore(nil, 0, []byte("key"), &live)
	reply := AppendReadReply(nil, &ReadReply{Names: names, Record: live}, false)
	ack := AppendAcknowledgement(nil, &Acknowledgement{Names: names})
	held := make([]lease.Name, 0, len(names))
	n := testing.AllocsPerRun(100, func() {
		buf = AppendRead(AppendRequest(buf[:0], Read, stamp), &ReadRequest{Have: live.Tag, Key: live.Value})
		buf = AppendStore(AppendRequest(buf[:0], Stores, stamp), 7, live.Value, &live)
		buf = AppendReadReply(AppendReply(buf[:0], OK, 1, 1, 1), &ReadReply{Names: names, Record: live}, false)
		_, _ = ParseRead(request)
		_, _ = ParseStore(store)
		buf = AppendAcknowledgement(buf[:0], &Acknowledgement{Names: names})
		_, _ = ParseAcknowledgement(held, ack, 1)
		_, _ = ParseReadReply(held, reply, false)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNames(t *testing.T) {
	if s := fmt.Sprint(Read, Lease, Push, Op(99), OK, Missing, Status(99)); s != "read lease push op(99) ok missing status(99)" {
		t.Error(s)
	}
}

// FuzzDecode feeds every decoder. A message that a decoder accepts must encode to the same bytes
// again.
func FuzzDecode(f *testing.F) {
	for i, m := range messages {
		f.Add(uint8(i), m.bytes)
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		i := int(which) % len(messages)
		v, err := messages[i].decode(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s: %v", messages[i].name, err)
			}
			return
		}
		var again []byte
		switch v := v.(type) {
		case ReadRequest:
			again = AppendRead(nil, &v)
		case ReadReply:
			again = AppendReadReply(nil, &v, messages[i].name == "read-same")
		case StoreRequest:
			again = AppendStore(nil, v.Relied, v.Key, &v.Record)
		case Acknowledgement:
			again = AppendAcknowledgement(nil, &v)
		case LeaseRequest:
			again = AppendLease(nil, &v)
		case LeaseReply:
			again = AppendLeaseReply(nil, &v)
		case lease.Name:
			again = AppendClose(nil, v)
		case time.Duration:
			again = AppendClosed(nil, v)
		case RemoveRequest:
			again = AppendRemove(nil, &v)
		case MemberReport:
			again = AppendHeartbeat(nil, &v)
		case RangeRequest:
			again = AppendRangeRequest(nil, v)
		case []keyspace.Range:
			again = AppendRanges(nil, v)
		case []replica.Digest:
			again = AppendDigests(nil, v)
		case ranksAndAfter:
			again = AppendRanks(nil, v.ranks, v.after)
		case tagsAndNext:
			again = AppendTags(nil, v.next, v.tags)
		case recordsAndNext:
			for i := range v.records {
				again = AppendEntry(again, v.records[i].Key, &v.records[i].Record)
			}
			again = AppendNext(again, v.next)
		default:
			return // a list whose ID is not part of v
		}
		if !bytes.Equal(again, b) {
			// version.ParseMeta reads some fields of the metadata leniently. It is enough that a
			// second pass is stable.
			w, err := messages[i].decode(again)
			if err != nil || !reflect.DeepEqual(v, w) {
				t.Fatalf("%s: %x decodes to %+v, which encodes to %x (%v)", messages[i].name, b, v, again, err)
			}
		}
	})
}
