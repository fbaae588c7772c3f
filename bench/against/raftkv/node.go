package raftkv

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Config describes one node. All fields are required but Tick.
type Config struct {
	ID    uint64       // from 1 on
	Peer  net.Listener // where the other nodes connect
	Peers []string     // the addresses of all nodes, in the order of their IDs
	// Tick is the time between heartbeats. A follower that has heard nothing for ten to twenty
	// ticks begins an election. Zero: 100 ms.
	Tick time.Duration
}

const (
	defaultTick   = 100 * time.Millisecond
	electionTicks = 10
	// giveUpTicks is how long a request waits before it is answered as refused or unknown.
	giveUpTicks = 50
	// askAgainTicks is how long a node waits for the answer to ReadIndex before it asks again.
	askAgainTicks = 10
	// roundsOfRequest is the number of rounds that a goroutine with a request of its own does for
	// others. Then another goroutine takes over.
	roundsOfRequest = 2
)

// Node is one running node. Its methods are safe for concurrent use.
type Node struct {
	config Config
	store  *store
	links  []*link // by ID-1; nil: this node itself
	lead   atomic.Uint64
	stop   chan struct{}
	ended  sync.WaitGroup

	mu       sync.Mutex // guards what follows
	atWork   bool       // a goroutine owns the fields below
	closed   bool
	messages []*raftpb.Message
	ticks    int
	writes   *writeBatch // the next batch
	reads    *readBatch  // the next batch
	numbers  uint64      // of batches
	incoming map[net.Conn]bool
	overtake chan struct{} // holds one element while another goroutine is to take over

	// The fields of the goroutine at work. It holds no lock.
	raft      *raft.RawNode
	log       *memoryLog
	now       atomic.Uint64          // ticks since the start
	writing   map[uint64]*writeBatch // under way, by number
	reading   *readBatch             // under way
	question  uint64                 // the number of the question of reading
	asked     uint64                 // the tick at which the question was asked
	readIndex uint64                 // what must be applied before reading ends; 0: not known yet
	answered  []chan struct{}        // of batches that have ended; closed after the next flush
}

// maxWriting is the number of batches of writes that a node has under way. With more the batches
// are smaller, and each costs messages.
const maxWriting = 1

// Start starts a node. Close ends it.
func Start(c Config) (*Node, error) {
	if c.Tick <= 0 {
		c.Tick = defaultTick
	}
	if c.ID < 1 || c.ID > uint64(len(c.Peers)) {
		return nil, fmt.Errorf("raftkv: node %d of %d", c.ID, len(c.Peers))
	}
	n := &Node{config: c, store: newStore(), stop: make(chan struct{}), overtake: make(chan struct{}, 1), incoming: map[net.Conn]bool{}, writing: map[uint64]*writeBatch{}}
	var err error
	if n.log, err = newMemoryLog(n.store, len(c.Peers)); err != nil {
		return nil, err
	}
	n.raft, err = raft.NewRawNode(&raft.Config{
		ID: c.ID, Storage: n.log, Applied: firstIndex, ElectionTick: electionTicks, HeartbeatTick: 1, PreVote: true, CheckQuorum: true,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, MaxInflightBytes: 8 << 20, Logger: quiet,
	})
	if err != nil {
		return nil, err
	}
	for i, address := range c.Peers {
		if uint64(i+1) == c.ID {
			n.links = append(n.links, nil)
			continue
		}
		l := &link{to: uint64(i + 1), address: address, lost: make(chan struct{}, 1)}
		n.links = append(n.links, l)
		n.ended.Go(func() { l.dial(n.stop) })
	}
	n.ended.Go(n.accept)
	n.ended.Go(n.tick)
	return n, nil
}

// Close ends the node. Requests that wait are answered as those of an unknown outcome.
func (n *Node) Close() {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	n.closed = true
	for c := range n.incoming {
		_ = c.Close()
	}
	n.mu.Unlock()
	close(n.stop)
	_ = n.config.Peer.Close()
	n.ended.Wait()
	// Nobody is at work any more, apart from requests, and these end with the round that they do.
	for {
		n.mu.Lock()
		if !n.atWork {
			n.atWork = true
			n.mu.Unlock()
			break
		}
		n.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	n.fail(unknown)
	n.mu.Lock()
	n.failNext()
	n.mu.Unlock()
	n.wake()
}

// tick brings the ticks, and takes over from goroutines that have requests of their own.
func (n *Node) tick() {
	ticker := time.NewTicker(n.config.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			n.mu.Lock()
			n.ticks++
			n.mu.Unlock()
		case <-n.overtake:
		case <-n.stop:
			return
		}
		n.work(-1)
	}
}

// accept serves the connections of the other nodes.
func (n *Node) accept() {
	for {
		c, err := n.config.Peer.Accept()
		if err != nil {
			return // it was closed
		}
		n.mu.Lock()
		if n.closed {
			n.mu.Unlock()
			_ = c.Close()
			continue
		}
		n.incoming[c] = true
		n.mu.Unlock()
		n.ended.Go(func() {
			_ = receive(c, n.deliver)
			n.mu.Lock()
			delete(n.incoming, c)
			n.mu.Unlock()
			_ = c.Close()
		})
	}
}

// deliver takes messages of another node.
func (n *Node) deliver(messages []*raftpb.Message) {
	n.mu.Lock()
	n.messages = append(n.messages, messages...)
	n.mu.Unlock()
	n.work(-1)
}

// input is what one round of work takes.
type input struct {
	messages []*raftpb.Message
	ticks    int
	writes   *writeBatch
}

// work does what there is to do, unless another goroutine is at it. After so many rounds the
// goroutine that ticks takes over; a negative number means that none does.
func (n *Node) work(rounds int) {
	n.mu.Lock()
	if n.atWork {
		n.mu.Unlock()
		return
	}
	n.atWork = true
	for ; n.pending(); rounds-- {
		if rounds == 0 {
			select {
			case n.overtake <- struct{}{}:
			default:
			}
			break
		}
		in := n.take()
		n.mu.Unlock()
		n.round(in)
		n.mu.Lock()
	}
	n.atWork = false
	n.mu.Unlock()
}

// pending reports whether there is something to take. n.mu is held, and the caller is at work.
func (n *Node) pending() bool {
	return !n.closed && (len(n.messages) > 0 || n.ticks > 0 || n.mayWrite() || n.mayRead())
}

func (n *Node) mayWrite() bool {
	return n.writes != nil && len(n.writing) < maxWriting && n.lead.Load() != raft.None
}

func (n *Node) mayRead() bool {
	return n.reads != nil && n.reading == nil && n.lead.Load() != raft.None
}

// take takes what there is to do. n.mu is held, and the caller is at work.
func (n *Node) take() input {
	in := input{messages: n.messages, ticks: n.ticks}
	n.messages, n.ticks = nil, 0
	if n.mayWrite() {
		in.writes, n.writes = n.writes, nil
	}
	if n.mayRead() {
		n.reading, n.reads, n.question = n.reads, nil, 0
	}
	return in
}

// round is one round of work.
func (n *Node) round(in input) {
	for range in.ticks {
		n.now.Add(1)
		n.raft.Tick()
	}
	if in.ticks > 0 {
		n.expire()
	}
	for _, m := range in.messages {
		if m.GetTo() == n.config.ID {
			_ = n.raft.Step(m) // an error tells of a message that is dropped, as one lost on the way
		}
	}
	if in.writes != nil {
		n.propose(in.writes)
	}
	for {
		if n.reading != nil && n.question == 0 && n.lead.Load() != raft.None {
			n.ask()
		}
		if !n.raft.HasReady() {
			break
		}
		n.ready()
	}
	for _, l := range n.links {
		n.flush(l)
	}
	n.wake()
}

func (n *Node) flush(l *link) {
	if l == nil || len(l.out) == 0 {
		return
	}
	snapshot := l.snap
	sent := l.flush()
	if snapshot {
		status := raft.SnapshotFinish
		if !sent {
			status = raft.SnapshotFailure
		}
		n.raft.ReportSnapshot(l.to, status)
	}
	if !sent {
		n.raft.ReportUnreachable(l.to)
		if l.to == n.lead.Load() {
			n.follow()
		}
	}
}

// ready does what one Ready of raft asks for, in the order that its package documents.
func (n *Node) ready() {
	rd := n.raft.Ready()
	if rd.Snapshot != nil && !raft.IsEmptySnap(rd.Snapshot) {
		must(n.log.restore(rd.Snapshot))
	}
	must(n.log.keep(&rd))
	for _, m := range rd.Messages {
		if to := m.GetTo(); to >= 1 && to <= uint64(len(n.links)) && to != n.config.ID {
			must(n.links[to-1].add(m))
		}
	}
	for _, e := range rd.CommittedEntries {
		n.apply(e)
	}
	for _, s := range rd.ReadStates {
		if n.reading != nil && n.question != 0 && len(s.RequestCtx) == headSize && binary.LittleEndian.Uint64(s.RequestCtx[8:]) == n.question {
			n.readIndex = s.Index
		}
	}
	n.endReads()
	must(n.log.cut())
	n.raft.Advance(rd)
	if rd.SoftState != nil && rd.Lead != n.lead.Load() {
		n.lead.Store(rd.Lead)
		n.follow()
	}
}

// must ends the process when the log cannot be followed, which is a bug: a node that went on would
// hold other values than the others.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("raftkv: %v", err))
	}
}
