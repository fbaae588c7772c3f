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
	json       bool   // the answer is wanted as JSON
	body       []byte // lines of JSON; nil: none
}

// do sends a call (F1) and passes the successful answer to read, which must copy what it keeps.
// read may be nil.
func (c *Client) do(ctx context.Context, k call, read func(*fasthttp.Response) error) error {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	first := int(c.preferred.Load())
	var err error
	for i := range c.endpoints {
		at := (first + i) % len(c.endpoints)
		if err = c.endpoints[at].do(ctx, k, read); err == nil {
			if i > 0 {
				c.preferred.Store(uint32(at))
			}
			return nil
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || ctx.Err() != nil || !elsewhere(e, k.mutates) {
			break
		}
	}
	return err
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
	if err = w.receive(); err != nil {
		release()
		_ = w.conn.Close()
		w.posted(false)
		return e.unanswered(ctx, k.mutates, err)
	}
	whole := w.posted(w.response.StatusCode() == fasthttp.StatusOK && !w.response.ConnectionClose())
	switch {
	case w.response.StatusCode() != fasthttp.StatusOK:
		err = newError(e.name, k.mutates, &w.response)
	case read != nil:
		err = read(&w.response)
	}
	e.release(w, release() && whole)
	return err
}

// send writes a call to a connection and returns that, still to be read from. A read that fails on
// a kept connection is sent again on another one. A mutation is sent once: whether a kept
// connection has passed it on is unknown. A body may still be on its way.
func (e *endpoint) send(ctx context.Context, k call) (*wire, error) {
	for {
		w, fresh, err := e.acquire(ctx)
		if err != nil {
			return nil, e.unanswered(ctx, false, err) // nothing was sent
		}
		w.out = k.append(w.out[:0], e)
		release := w.guard(ctx)
		if k.body != nil {
			w.post(k.body)
		} else {
			err = w.flush()
		}
		if err == nil && !fresh && !k.mutates {
			// The other side may have closed the connection at this moment, which only an answer
			// disproves. So the first byte of it is awaited here.
			_, err = w.reader.Peek(1)
		}
		intact := release()
		if err == nil {
			return w, nil
		}
		_ = w.conn.Close()
		w.posted(false)
		if fresh || k.mutates || !intact || ctx.Err() != nil {
			return nil, e.unanswered(ctx, k.mutates, err)
		}
	}
}

// unanswered returns the error of a request that has no answer. With mutates, the request was sent,
// at least in part, and may have taken effect.
func (e *endpoint) unanswered(ctx context.Context, mutates bool, err error) *Error {
	failed := &Error{Endpoint: e.name, Err: cause(ctx, err)}
	if !mutates {
		failed.Outcome, failed.Retriable = kv.None, true
	}
	return failed
}

// cause returns why the context has ended, if it has: a cut connection is then only the
// consequence. Otherwise it returns err.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
