package topology

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"viakv/node/wire"
	"viakv/quorum/version"
)

// serveOne has a process serve one control message, and returns the reply.
func serveOne(p *process, c wire.Control) wire.ControlReply {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r, err := wire.ParseControlReply(p.m.Serve(ctx, nil, wire.AppendControl(nil, &c)))
	if err != nil {
		panic(err)
	}
	return r
}

// D1: the receiver checks which process a message is meant for, whatever address was dialled.
func TestTheReceiverChecks(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		top := a.m.current()
		vote := func(to, from uint64, kind raftpb.MessageType) []byte {
			term := uint64(1000)
			out, err := proto.Marshal(&raftpb.Message{Type: &kind, To: &to, From: &from, Term: &term})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		cluster, boot := uint64(top.Cluster), a.id.BootID
		good := vote(boot, b.id.BootID, raftpb.MsgHeartbeatResp)
		doc := encodeJSON(update{Topology: founded(t, "a", "b")})
		for _, x := range []struct {
			name string
			c    wire.Control
			want wire.ControlStatus
		}{
			{"a consensus message", wire.Control{Op: wire.OpRaft, Cluster: cluster, To: boot, From: b.id.BootID, Body: good}, wire.ControlOK},
			{"for the process that was here before", wire.Control{Op: wire.OpRaft, Cluster: cluster, To: boot + 1, From: b.id.BootID, Body: good}, wire.ControlWrongBootID},
			{"of another cluster", wire.Control{Op: wire.OpRaft, Cluster: cluster + 1, To: boot, From: b.id.BootID, Body: good}, wire.ControlWrongCluster},
			{"from somebody else than it says", wire.Control{Op: wire.OpRaft, Cluster: cluster, To: boot, From: c.id.BootID, Body: good}, wire.ControlMalformed},
			{"inside for somebody else", wire.Control{Op: wire.OpRaft, Cluster: cluster, To: boot, From: b.id.BootID, Body: vote(c.id.BootID, b.id.BootID, raftpb.MsgVote)}, wire.ControlMalformed},
			{"a proposal", wire.Control{Op: wire.OpRaft, Cluster: cluster, To: boot, From: b.id.BootID, Body: vote(boot, b.id.BootID, raftpb.MsgProp)}, wire.ControlMalformed},
			{"a local message from afar", wire.Control{Op: wire.OpRaft, Cluster: cluster, To: boot, From: b.id.BootID, Body: vote(boot, b.id.BootID, raftpb.MsgHup)}, wire.ControlMalformed},
			{"noise", wire.Control{Op: wire.OpRaft, Cluster: cluster, To: boot, From: b.id.BootID, Body: []byte{255}}, wire.ControlMalformed},
			{"a document of another cluster", wire.Control{Op: wire.OpUpdate, Cluster: 7, To: boot, Body: doc}, wire.ControlWrongCluster},
			{"half a document", wire.Control{Op: wire.OpUpdate, Cluster: cluster, To: boot, Body: []byte("{")}, wire.ControlMalformed},
			{"a request of another cluster", wire.Control{Op: wire.OpSubmit, Cluster: cluster + 1, To: boot, Body: []byte("{}")}, wire.ControlWrongCluster},
			{"half a request", wire.Control{Op: wire.OpSubmit, Cluster: cluster, To: boot, Body: []byte("{")}, wire.ControlMalformed},
			{"a founder that comes too late", wire.Control{Op: wire.OpPromise, To: boot, From: 9, Body: encodeJSON(promise{Founder: *identity("x", 9)})}, wire.ControlRefused},
			{"a promise for another", wire.Control{Op: wire.OpPromise, To: boot, From: 9, Body: encodeJSON(promise{Founder: *identity("x", 8)})}, wire.ControlMalformed},
			{"a founding from another than the founder", wire.Control{Op: wire.OpFound, To: boot, From: 9, Body: founded(t, "a").encode()}, wire.ControlMalformed},
			{"a second founding", wire.Control{Op: wire.OpFound, To: boot, From: 1, Body: founded(t, "a").encode()}, wire.ControlRefused},
			{"an operation of the future", wire.Control{Op: 99, To: boot}, wire.ControlMalformed},
		} {
			if r := serveOne(a, x.c); r.Status != x.want {
				t.Errorf("%s: %v, want %v", x.name, r.Status, x.want)
			}
		}
		if e := a.m.current(); e != top {
			t.Errorf("epoch %d was adopted from strangers", e.Epoch)
		}
		short, err := wire.ParseControlReply(a.m.Serve(context.Background(), nil, []byte{32}))
		if err != nil || short.Status != wire.ControlMalformed {
			t.Errorf("a cut request: %v, %v", short.Status, err)
		}
	})
}

// Any node brings a newer topology to a peer, and takes one from it.
func TestDocumentsTravel(t *testing.T) {
	simulate(t, func(w *world) {
		_, cutOff, other := w.ledTrio()
		w.net.isolate(cutOff.id.Peer, true)
		if _, err := other.m.Clear(w.ctx(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		e := other.m.current().Epoch
		if cutOff.m.current().Epoch >= e {
			t.Fatal("a node that is cut off heard of it")
		}
		doc, err := Decode(other.m.Document())
		if err != nil {
			t.Fatal(err)
		}
		cutOff.m.Learn(doc)
		w.until("adopted", time.Second, func() bool { return cutOff.m.current().Epoch == e })
		cutOff.m.Learn(founded(t, "a", "b", "c")) // the topology of another cluster
		cutOff.m.Learn(nil)
		if got := cutOff.m.current(); got.Epoch != e || got.Cluster != doc.Cluster {
			t.Errorf("%s", got.encode())
		}
		w.net.isolate(cutOff.id.Peer, false)
		if err := other.m.UpdatePeer(w.ctx(time.Second), cutOff.id.Peer); err != nil {
			t.Error(err)
		}
		if err := other.m.UpdatePeer(w.ctx(time.Second), "nowhere:1"); err == nil {
			t.Error("an update of a peer that does not exist succeeded")
		}
	})
}

func TestConfig(t *testing.T) {
	if _, err := New(Config{Seeds: addresses("a"), JoinVia: "b", Expect: -1}); err == nil {
		t.Error("an empty configuration was accepted")
	} else {
		for _, want := range []string{"name has 0 bytes", "transport and a host", "exclude each other", "negative"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is missing in %v", want, err)
			}
		}
	}
	m := &Manager{self: *identity("a", 1)}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Clear(ctx); err == nil {
		t.Error("cleared without a cluster")
	}
	if err := m.UpdatePeer(ctx, "x"); err == nil {
		t.Error("updated a peer without a topology")
	}
	if _, err := m.Leave(ctx, "", false); err == nil {
		t.Error("left without a cluster")
	}
	if err := m.Rebuilt(ctx, &Topology{}); err == nil {
		t.Error("rebuilt without a cluster")
	}
	if err := m.BarrierDone(ctx, version.Epoch(1)); err == nil {
		t.Error("synced without a cluster")
	}
	if m.Document() != nil {
		t.Error("a document without a cluster")
	}
}
