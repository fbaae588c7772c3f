package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"
)

// Entry is a key with its value and the version at which it was read or written.
type Entry struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Version string `json:"version"`
}

func (c *Client) data(path string, mutates bool, ps ...parameter) call {
	return call{path: path, parameters: c.options.quorums(ps), mutates: mutates, timeout: c.config.Timeout}
}

// Get returns the key's value, and ErrMissing when it has none.
func (c *Client) Get(ctx context.Context, key string) (value string, err error) {
	err = c.do(ctx, c.data("/get", false, parameter{"k", key}), func(r *fasthttp.Response) error {
		value = string(r.Body())
		return nil
	})
	return value, err
}

// Lookup returns the key's value like Get, with its version.
func (c *Client) Lookup(ctx context.Context, key string) (e Entry, err error) {
	k := c.data("/get", false, parameter{"k", key})
	k.json = true
	err = c.do(ctx, k, decode(&e))
	return e, err
}

// Set stores a value and returns the version of this write.
func (c *Client) Set(ctx context.Context, key, value string) (version string, err error) {
	k := c.data("/set", true, parameter{"k", key}, parameter{"v", value})
	k.json = true
	var e Entry
	err = c.do(ctx, k, decode(&e))
	return e.Version, err
}

// Remove removes the key's value, and returns ErrMissing when it has none. Of overlapping removes
// of one value at most one succeeds.
func (c *Client) Remove(ctx context.Context, key string) error {
	return c.do(ctx, c.data("/rm", true, parameter{"k", key}), nil)
}

// Has reports whether the key has a value.
func (c *Client) Has(ctx context.Context, key string) (bool, error) {
	err := c.do(ctx, c.data("/is", false, parameter{"k", key}), nil)
	if errors.Is(err, ErrMissing) {
		return false, nil
	}
	return err == nil, err
}

// Clear removes everything, atomically.
func (c *Client) Clear(ctx context.Context) error {
	k := c.data("/clear", true)
	k.timeout = c.config.ControlTimeout
	return c.do(ctx, k, nil)
}

// decode returns a function that reads a JSON document into v.
func decode(v any) func(*fasthttp.Response) error {
	return func(r *fasthttp.Response) error {
		if err := json.Unmarshal(r.Body(), v); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrNotViakv, shorten(string(r.Body())), err)
		}
		return nil
	}
}
