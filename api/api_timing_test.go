package api

import (
	"bufio"
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// sharded is the plainest store that scales: 256 maps, each under its lock. Both sides of the
// comparison use it.
type sharded struct {
	kv.Store
	seed   maphash.Seed
	shards [256]struct {
		sync.RWMutex
		values map[string][]byte
	}
}

func newSharded(n int) *sharded {
	s := &sharded{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].values = make(map[string][]byte)
	}
	for i := range n {
		s.set(fmt.Appendf(nil, "key-%012d", i), make([]byte, 100))
	}
	return s
}

func (s *sharded) get(dst, key []byte) ([]byte, bool) {
	shard := &s.shards[maphash.Bytes(s.seed, key)%256]
	shard.RLock()
	v, ok := shard.values[string(key)]
	dst = append(dst, v...)
	shard.RUnlock()
	return dst, ok
}

func (s *sharded) set(key, value []byte) {
	shard := &s.shards[maphash.Bytes(s.seed, key)%256]
	shard.Lock()
	if old, ok := shard.values[string(key)]; ok && len(old) == len(value) {
		copy(old, value)
	} else {
		shard.values[string(key)] = append([]byte(nil), value...)
	}
	shard.Unlock()
}

func (s *sharded) Get(_ context.Context, dst, key []byte, _ kv.Options) ([]byte, version.Tag, error) {
	if v, ok := s.get(dst, key); ok {
		return v, someTag, nil
	}
	return dst, version.Tag{}, kv.ErrMissing
}

func (s *sharded) Set(_ context.Context, key, value []byte, _ kv.Options) (version.Tag, error) {
	s.set(key, value)
	return someTag, nil
}

func (s *sharded) SetMany(_ context.Context, writes []kv.Write, _ kv.Options) {
	for i := range writes {
		s.set(writes[i].Key, writes[i].Value)
		writes[i].Version, writes[i].Err = version.Tag{}, nil
	}
}

// bare is the plain server to compare with: fasthttp over the map, without any checks.
func bare(s *sharded) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		args := ctx.QueryArgs()
		switch string(ctx.Path()) {
		case "/get":
			v, ok := s.get(nil, args.Peek("k"))
			if !ok {
				ctx.SetStatusCode(404)
				return
			}
			ctx.SetBody(v)
		case "/set":
			s.set(args.Peek("k"), args.Peek("v"))
			ctx.SetBodyString("OK\n")
		}
	}
}

// BenchmarkRequests compares one node's get and set with the bare server, over 64 connections on
// loopback. Only ns/op of one run can be compared. The clients' share of it is the same on both
// sides.
func BenchmarkRequests(b *testing.B) {
	value := strings.Repeat("v", 100)
	for _, verb := range []string{"get", "set"} {
		request := "GET /get?k=key-%012d HTTP/1.1\r\nHost: localhost\r\n\r\n"
		if verb == "set" {
			request = "GET /set?k=key-%012d&v=" + value + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
		}
		b.Run(verb+"/bare", func(b *testing.B) {
			s := &fasthttp.Server{Handler: bare(newSharded(100_000))}
			l := listener(b)
			done := make(chan error, 1)
			go func() { done <- s.Serve(l) }()
			drive(b, l.Addr().String(), request)
			_ = s.Shutdown()
			<-done
		})
		b.Run(verb+"/viakv", func(b *testing.B) {
			h := start(b, Config{Store: newSharded(100_000)})
			drive(b, h.addr, request)
		})
	}
}

// drive sends b.N requests over 64 connections. A client does as little as possible: one write and
// one read for each request.
func drive(b *testing.B, addr, format string) {
	const connections = 64
	var clients sync.WaitGroup
	share := b.N/connections + 1
	begin := make(chan struct{})
	for i := range connections {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		requests := make([][]byte, 256)
		for j := range requests {
			requests[j] = fmt.Appendf(nil, format, (i*7919+j*104729)%100_000)
		}
		// All answers are equally long. The first one tells how long.
		if _, err := c.Write(requests[0]); err != nil {
			b.Fatal(err)
		}
		buffer := make([]byte, 4096)
		size, err := c.Read(buffer)
		if err != nil {
			b.Fatal(err)
		}
		clients.Go(func() {
			defer c.Close()
			<-begin
			for n := range share {
				if _, err := c.Write(requests[n%256]); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(c, buffer[:size]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	before := processorTime()
	b.ResetTimer()
	close(begin)
	clients.Wait()
	b.StopTimer()
	b.ReportMetric(float64(processorTime()-before)/float64(connections*share), "cpu-ns/op")
}

// processorTime returns the processor time of this process, servers and clients. It remains
// comparable while other processes use the machine.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// million is a store whose scan delivers a million pairs of 16 and 100 bytes without any work.
type million struct{ kv.Store }

const (
	millionPairs = 1_000_000
	millionBatch = 500
)

type millionScanner struct {
	n     int
	pairs []kv.Pair
}

func (million) Scan(context.Context, kv.ScanOptions) (kv.Scanner, error) {
	s := &millionScanner{}
	for i := range millionBatch {
		s.pairs = append(s.pairs, kv.Pair{Key: fmt.Appendf(nil, "key-%012d", i), Value: fmt.Appendf(nil, "%0100d", i)})
	}
	return s, nil
}

func (s *millionScanner) Next(_ context.Context, b *kv.Batch) (bool, error) {
	if s.n == millionPairs {
		return false, nil
	}
	s.n += millionBatch
	b.Pairs = append(b.Pairs[:0], s.pairs...)
	return true, nil
}

func (*millionScanner) Cursor(int) string { return "" }
func (*millionScanner) Close()            {}

// BenchmarkGetAll streams a million pairs. Its baseline renders the same rows into fasthttp's
// StreamWriter.
func BenchmarkGetAll(b *testing.B) {
	// The client only reads. If it parsed chunks, that would dominate the measurement.
	read := func(b *testing.B, addr, coding string) {
		buffer := make([]byte, 256<<10)
		before, total := processorTime(), int64(0)
		defer func() { b.ReportMetric(float64(processorTime()-before)/float64(total), "cpu-ns/B") }()
		for b.Loop() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := fmt.Fprintf(c, "GET /getAll HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAccept-Encoding: %s\r\n\r\n", coding); err != nil {
				b.Fatal(err)
			}
			n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, buffer)
			if err != nil {
				b.Fatal(err)
			}
			c.Close()
			b.SetBytes(n)
			total += n
		}
	}
	b.Run("StreamWriter", func(b *testing.B) {
		// The baseline: the same rows, written by fasthttp.
		s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
				scanner, _ := million{}.Scan(context.Background(), kv.ScanOptions{})
				r, batch := rows{kind: kindPairs}, kv.Batch{}
				buffer := r.begin(make([]byte, 0, streamBuffer+maxRow))
				for {
					more, _ := scanner.Next(context.Background(), &batch)
					if !more {
						_, _ = w.Write(r.end(buffer, ""))
						return
					}
					for i := range batch.Pairs {
						if buffer = r.append(buffer, &batch.Pairs[i]); len(buffer) >= streamBuffer {
							_, _ = w.Write(buffer)
							buffer = buffer[:0]
						}
					}
				}
			})
		}}
		l := listener(b)
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		read(b, l.Addr().String(), "identity")
		_ = s.Shutdown()
		<-done
	})
	for _, coding := range []string{"identity", "gzip", "zstd"} {
		b.Run(coding, func(b *testing.B) {
			h := start(b, Config{Store: million{}, Timeout: time.Minute})
			read(b, h.addr, coding)
		})
	}
}

// BenchmarkAppendJSON renders strings of 100 bytes.
func BenchmarkAppendJSON(b *testing.B) {
	clean := []byte("The quick brown fox jumps over the lazy dog, and the lazy dog looks up at the fox, and all is well; yes.")
	escapes, wide := []byte(string(clean)), []byte("Der schnelle braune Fuchs springt über den faulen Hund, und der Hund schaut auf: ärgerlich, möglich.")
	for i := 10; i < len(escapes); i += 20 {
		escapes[i] = '"'
	}
	for name, s := range map[string][]byte{"clean": clean, "escapes": escapes, "wide": wide} {
		b.Run(name, func(b *testing.B) {
			buffer := make([]byte, 0, 1024)
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				buffer = appendJSON(buffer[:0], s)
			}
		})
	}
}

// BenchmarkHandler measures this package's part of a request: routing, checks, the store, the
// answer, metrics.
func BenchmarkHandler(b *testing.B) {
	store := newSharded(1000)
	s, err := New(Config{Store: store})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, target string
		handler      fasthttp.RequestHandler
	}{
		{"get/bare", "/get?k=key-000000000001", bare(store)},
		{"get/viakv", "/get?k=key-000000000001", s.public.Handler},
		{"set/bare", "/set?k=key-000000000001&v=1234567890", bare(store)},
		{"set/viakv", "/set?k=key-000000000001&v=1234567890", s.public.Handler},
	} {
		b.Run(c.name, func(b *testing.B) {
			ctx := new(fasthttp.RequestCtx)
			var request fasthttp.Request
			request.Header.SetHost("h")
			ctx.Init(&request, &net.TCPAddr{}, nil)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Request.Reset()
				ctx.Request.Header.SetHost("h")
				ctx.Request.Header.SetRequestURI(c.target)
				ctx.Response.Reset()
				c.handler(ctx)
			}
		})
	}
}
