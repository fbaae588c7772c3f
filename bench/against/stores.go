package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"viakv/api/client"
	"viakv/bench/baseline"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

// place is where and how a store is started.
type place struct {
	viakv string // path of the viakv program
	dir   string // of the store's own, removed at the end
	nodes int
}

// store is a store that this program has started.
type store struct {
	name      string
	targets   []runner.Target
	many      []runner.Target // send gets that are under way as one request; none: the store has no such request
	endpoints []string        // of a store that has viakv's requests; empty: it has others
	scans     bool            // it has viakv's scans, too
	mesh      bool            // a mesh of viakv, which counts what its nodes answer by themselves
	pids      []int
	close     func()
}

func (s *store) cpu() time.Duration {
	total, _ := baseline.CPU(s.pids...)
	return total
}

// startWithin is how long a store may take until it answers.
const startWithin = 30 * time.Second

// starters start each store. What was started is returned with an error, too.
var starters = map[string]func(context.Context, place) (*store, error){
	"viakv": mesh(), "quorum": mesh("--reads", "quorum"), "alone": startAlone,
	"raft": startRaft, "bare": startBare, "redis": startRedis, "redis-wait": startRedisWait, "etcd": startEtcd, "nats": startNATS,
}

// startRaft starts nodes of Raft KV.
func startRaft(ctx context.Context, p place) (*store, error) {
	s, err := startSelf(ctx, p, raftCommand, true)
	if err != nil {
		return s, err
	}
	for _, endpoint := range s.endpoints {
		err := until(ctx, func(ctx context.Context) error { return fetch(ctx, endpoint+"/readyz", ignore) })
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// startBare starts servers that keep a map and know nothing of each other.
func startBare(ctx context.Context, p place) (*store, error) {
	s, err := startSelf(ctx, p, bareCommand, false)
	if err != nil {
		return s, err
	}
	s.hasGetMany()
	return s, nil
}

// startSelf starts nodes that are this program, with the command for one node. meets says that they
// know each other.
func startSelf(ctx context.Context, p place, command string, meets bool) (*store, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := baseline.Start(ctx, baseline.Command{Path: self, Args: []string{command}, Meets: meets}, p.nodes)
	if err != nil {
		return nil, err
	}
	s := &store{pids: c.PIDs(), close: c.Close}
	return s, s.overHTTP(c.Endpoints)
}

// bareCommand is the command of this program that serves a bare map.
const bareCommand = "bare"

func serveBare(ctx context.Context, in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return baseline.ServeUntilClosed(ctx, l, in, out, baseline.Serve)
}

// hasGetMany says that the store has viakv's /getMany.
func (s *store) hasGetMany() {
	var addresses []string
	for _, endpoint := range s.endpoints {
		addresses = append(addresses, strings.TrimPrefix(endpoint, "http://"))
	}
	s.many = togetherAt(speakGetMany, addresses, s.targets)
}

func (s *store) overHTTP(endpoints []string) (err error) {
	s.endpoints = endpoints
	s.targets, err = runner.NewHTTP(client.Config{Endpoints: endpoints, Timeout: requestTimeout}, client.Options{})
	return err
}

// fetch asks an address, and has its answer of status 200 read.
func fetch(ctx context.Context, address string, read func(io.Reader) error) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	q.Close = true
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	if r.StatusCode == http.StatusOK {
		err = read(r.Body)
	} else {
		err = errors.New(r.Status)
	}
	return errors.Join(err, r.Body.Close())
}

// ignore reads an answer of which only the status matters.
func ignore(body io.Reader) error {
	_, err := io.Copy(io.Discard, body)
	return err
}

// startRedis starts a primary and replicas. Nothing is on disk.
func startRedis(ctx context.Context, at place) (*store, error) { return redisStore(ctx, at, 0) }

// startRedisWait is startRedis with a WAIT for so many replicas after each write that a majority of
// the nodes has it.
func startRedisWait(ctx context.Context, at place) (*store, error) {
	return redisStore(ctx, at, at.nodes/2)
}

func redisStore(ctx context.Context, at place, wait int) (*store, error) {
	ports, err := freePorts(at.nodes)
	if err != nil {
		return nil, err
	}
	var p processes
	for i, port := range ports {
		args := []string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", at.dir, "--dbfilename", "redis-" + port + ".rdb",
			"--repl-diskless-sync-delay", "0"}
		if i > 0 {
			args = append(args, "--replicaof", "127.0.0.1", ports[0])
		}
		if err := p.start(at.dir, "redis-server", args...); err != nil {
			return p.store(), err
		}
	}
	address := "127.0.0.1:" + ports[0]
	all := redis{name: "redis://" + address, address: address, wait: at.nodes - 1, timeout: waitTimeout}
	s := p.store(redis{name: all.name, address: address, wait: wait, timeout: waitTimeout})
	s.many = togetherAt(speakMGET, []string{address}, s.targets)
	return s, until(ctx, func(ctx context.Context) error { return probe(ctx, all) })
}

// startEtcd starts the members, with their data on disk.
func startEtcd(ctx context.Context, at place) (*store, error) {
	ports, err := freePorts(2 * at.nodes)
	if err != nil {
		return nil, err
	}
	address := func(i int) string { return "http://127.0.0.1:" + ports[i] }
	var members []string
	for i := range at.nodes {
		members = append(members, fmt.Sprintf("n%d=%s", i, address(at.nodes+i)))
	}
	var p processes
	var targets []runner.Target
	for i := range at.nodes {
		name := fmt.Sprintf("n%d", i)
		err := p.start(at.dir, "etcd", "--name", name, "--data-dir", filepath.Join(at.dir, name), "--listen-client-urls", address(i), "--advertise-client-urls", address(i),
			"--listen-peer-urls", address(at.nodes+i), "--initial-advertise-peer-urls", address(at.nodes+i), "--initial-cluster", strings.Join(members, ","), "--initial-cluster-state", "new", "--log-level", "error")
		if err != nil {
			return p.store(), err
		}
		targets = append(targets, etcdTarget{"etcd" + address(i)[len("http"):], "127.0.0.1:" + ports[i]})
	}
	s := p.store(targets...)
	return s, s.ready(ctx)
}

// startNATS starts servers with JetStream, and a bucket that has a replica in the memory of each.
func startNATS(ctx context.Context, at place) (*store, error) {
	ports, err := freePorts(2 * at.nodes)
	if err != nil {
		return nil, err
	}
	var routes []string
	for i := range at.nodes {
		routes = append(routes, "nats://127.0.0.1:"+ports[at.nodes+i])
	}
	var p processes
	var targets []runner.Target
	for i := range at.nodes {
		name := fmt.Sprintf("n%d", i)
		err := p.start(at.dir, "nats-server", "--name", name, "--addr", "127.0.0.1", "--port", ports[i], "--jetstream", "--store_dir", filepath.Join(at.dir, name),
			"--cluster_name", "bench", "--cluster", routes[i], "--routes", strings.Join(routes, ","))
		if err != nil {
			return p.store(), err
		}
		address := "127.0.0.1:" + ports[i]
		targets = append(targets, newNATS("nats://"+address, address, at.nodes))
	}
	s := p.store(targets...)
	return s, s.ready(ctx)
}

// ready waits until each node stores a key.
func (s *store) ready(ctx context.Context) error {
	for _, t := range s.targets {
		if err := until(ctx, func(ctx context.Context) error { return probe(ctx, t) }); err != nil {
			return err
		}
	}
	return nil
}

// probe stores a key.
func probe(ctx context.Context, t runner.Target) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := t.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	c.Append(workload.Set, []byte("probe"), []byte("x"))
	if err := c.Flush(); err != nil {
		return err
	}
	a, err := c.Receive()
	if err == nil && a.Outcome != runner.OK {
		err = errors.New("it does not store keys yet")
	}
	return err
}

// until repeats a call until it succeeds.
func until(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// freePorts asks the kernel for ports that are free now.
func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // together at the end, so that all ports differ
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// processes are those of one store.
type processes []*exec.Cmd

// start starts a program of the PATH. Its output goes to a file.
func (p *processes) start(dir, program string, args ...string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return fmt.Errorf("%w: install it, or leave it out", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%s-%d.log", program, len(*p))), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = dir, log, log, attributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	*p = append(*p, cmd)
	return nil
}

func (p *processes) store(targets ...runner.Target) *store {
	s := &store{targets: targets, close: p.end}
	for _, cmd := range *p {
		s.pids = append(s.pids, cmd.Process.Pid)
	}
	return s
}

// end kills all processes and waits for them.
func (p *processes) end() {
	for _, cmd := range *p {
		_ = cmd.Process.Kill()
	}
	for _, cmd := range *p {
		_ = cmd.Wait()
	}
}
