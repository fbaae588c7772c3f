package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"
)

const (
	// maxGets and maxGetBytes bound a request of GetMany, in keys and in bytes: a node takes no
	// larger ones.
	maxGets     = 1000
	maxGetBytes = 256 << 10
)

// GetMany returns the values of keys, each read by itself as Get does. A key that has no value is
// not in the map. A key that is none, such as one that is too long, is a *kv.ArgumentError, and
// nothing is sent.
//
// The keys are sent in requests of up to a thousand, one after the other. When one of them fails,
// GetMany returns no values.
func (c *Client) GetMany(ctx context.Context, keys []string) (map[string]string, error) {
	asked := make(map[string]struct{}, len(keys))
	var differ []string
	for i, key := range keys {
		if err := checkKey(key); err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		if _, there := asked[key]; !there {
			asked[key] = struct{}{}
			differ = append(differ, key)
		}
	}
	values := make(map[string]string, len(differ))
	var body []byte
	for len(differ) > 0 {
		n := 0
		for body = body[:0]; n < min(maxGets, len(differ)); n++ {
			begin := len(body)
			body = append(appendJSON(body, differ[n]), '\n')
			if len(body) > maxGetBytes {
				body = body[:begin]
				break
			}
		}
		k := c.data("/getMany", false, parameter{"format", "ndjson"})
		k.body = body
		some := differ[:n]
		if err := c.do(ctx, k, func(r *fasthttp.Response) error { return readFound(r.Body(), some, values) }); err != nil {
			return nil, err
		}
		differ = differ[n:]
	}
	return values, nil
}

// readFound adds the values of an answer, which has a line for each key in their order.
func readFound(body []byte, keys []string, values map[string]string) error {
	var scratch []byte
	for _, key := range keys {
		line, rest, _ := bytes.Cut(body, []byte("\n"))
		body = rest
		got, value, ok := readPair(line, &scratch)
		if !ok || string(got) != key {
			return fmt.Errorf("%w: the line for the key %q is %s", ErrNotViakv, shorten(key), shorten(string(line)))
		}
		if value != nil {
			values[key] = string(value)
		}
	}
	var end struct {
		End   bool
		Count int
	}
	if err := json.Unmarshal(body, &end); err != nil || !end.End || end.Count != len(keys) {
		return errors.Join(fmt.Errorf("%w: behind the lines for %d keys comes %s", ErrNotViakv, len(keys), shorten(string(body))), err)
	}
	return nil
}
