package client

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

// Client speaks to a cluster through one or more endpoints. It is safe for concurrent use.
type Client struct {
	*shared
	options Options
}

// shared is what the clients made by With have in common.
type shared struct {
	config    Config
	endpoints []*endpoint
	preferred atomic.Uint32 // index of the endpoint to begin with
}

// New checks the configuration and returns a client. It opens no connection.
func New(config Config) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s := &shared{config: config.withDefaults()}
	for _, name := range config.Endpoints {
		e, err := newEndpoint(s.config, name)
		if err != nil {
			return nil, err
		}
		s.endpoints = append(s.endpoints, e)
	}
	return &Client{shared: s}, nil
}

// With returns a client that sends these options with every data request and shares everything else
// with c.
func (c *Client) With(o Options) *Client { return &Client{shared: c.shared, options: o} }

// Close closes the idle connections now, and the others when their requests end.
func (c *Client) Close() {
	for _, e := range c.endpoints {
		e.close()
	}
}

// call is one request, to be sent to one endpoint or to several.
type call struct {
	path       string
	parameters []parameter
	mutates    bool
	timeout    time.Duration
	accept     string // empty: any content type
}

// do sends a call (L1) and passes the successful answer to read, which must copy what it keeps.
// read may be nil.
func (c *Client) do(ctx context.Context, k call, read func(*fasthttp.Response) error) error {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	first := int(c.preferred.Load())
	var last *Error
	for i := range c.endpoints {
		at := (first + i) % len(c.endpoints)
		err := c.endpoints[at].do(ctx, k, read)
		if err == nil {
			if i > 0 {
				c.preferred.Store(uint32(at))
			}
			return nil
		}
		var e *Error
		if !errors.As(err, &e) {
			return err
		}
		last = e
		if ctx.Err() != nil || !elsewhere(e, k.mutates) {
			break
		}
	}
	return last
}

// elsewhere reports whether another endpoint may be asked after this error.
func elsewhere(e *Error, mutates bool) bool {
	switch {
	case e.Status != 0 && e.Status < 500, e.Status == fasthttp.StatusInsufficientStorage && mutates:
		return false
	case mutates:
		return e.Outcome == kv.None && (e.Status == 0 || e.Retriable)
	}
	return true
}

// do sends a call to this endpoint. Every error is an *Error, except those of read.
func (e *endpoint) do(ctx context.Context, k call, read func(*fasthttp.Response) error) error {
	w, err := e.send(ctx, k)
	if err != nil {
		return err
	}
	release := w.guard(ctx)
	err = w.receive()
	if err != nil {
		release()
		_ = w.conn.Close()
		return e.lost(ctx, k.mutates, err)
	}
	if w.response.StatusCode() == fasthttp.StatusOK {
		err = nil
		if read != nil {
			err = read(&w.response)
		}
	} else {
		err = newError(e.name, k.mutates, &w.response)
	}
	if release() && !w.response.ConnectionClose() {
		e.release(w)
	} else {
		_ = w.conn.Close()
	}
	return err
}

// send writes a call to a connection and returns that, still to be read from. A read that fails on
// a kept connection is sent again on another one. A mutation is sent once: whether a kept
// connection has passed it on is unknown.
func (e *endpoint) send(ctx context.Context, k call) (*wire, error) {
	for {
		w, fresh, err := e.acquire(ctx)
		if err != nil {
			return nil, &Error{Endpoint: e.name, Outcome: kv.None, Retriable: true, Err: cause(ctx, err)}
		}
		w.out = k.append(w.out[:0], e)
		release := w.guard(ctx)
		err = w.flush()
		intact := release()
		if err == nil && (fresh || k.mutates) {
			return w, nil
		}
		if err == nil {
			// The other side may have closed the connection at this moment, which only an answer
			// disproves. So the first byte of it is awaited here.
			release = w.guard(ctx)
			_, err = w.reader.Peek(1)
			intact = release()
			if err == nil {
				return w, nil
			}
		}
		_ = w.conn.Close()
		if fresh || k.mutates || !intact || ctx.Err() != nil {
			return nil, e.lost(ctx, k.mutates, err)
		}
	}
}

// append appends the call's request to an endpoint.
func (k call) append(dst []byte, e *endpoint) []byte {
	method, headers := "GET", e.headers
	if k.mutates {
		method, headers = "POST", e.postHeaders
	}
	if k.accept != "" {
		headers = "Accept: " + k.accept + "\r\n" + headers
	}
	return appendRequest(dst, method, k.path, k.parameters, headers)
}

// lost returns the error of a request that was sent, at least in part, and not answered.
func (e *endpoint) lost(ctx context.Context, mutates bool, err error) *Error {
	lost := &Error{Endpoint: e.name, Err: cause(ctx, err)}
	if !mutates {
		lost.Outcome, lost.Retriable = kv.None, true
	}
	return lost
}

// cause returns why the context has ended, if it has: a cut connection is then only the
// consequence. Otherwise it returns err.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
