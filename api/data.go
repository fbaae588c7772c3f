package api

import (
	"time"

	"viakv/api/kv"
)

// get answers /get with the value's bytes, or with key, value and version as JSON.
func get(x *exchange) error {
	key, options, err := x.keyAndOptions()
	if err != nil {
		return err
	}
	value, tag, err := x.server.config.Store.Get(x.server.base, x.body[:0], key, options)
	if err != nil {
		return err
	}
	if !x.wantsJSON() {
		x.ctx.SetContentType(textType)
		x.ctx.SetBody(value)
		x.body = value[:0]
		return nil
	}
	b := append([]byte(nil), `{"key":`...)
	b = appendJSON(b, key)
	b = append(b, `,"value":`...)
	b = appendJSON(b, value)
	b = append(b, `,"version":"`...)
	b = appendTag(b, tag)
	x.json(append(b, '"', '}', '\n'))
	return nil
}

// set answers /set.
func set(x *exchange) error {
	key, err := x.key()
	if err != nil {
		return err
	}
	value, err := x.value()
	if err != nil {
		return err
	}
	options, err := x.options()
	if err != nil {
		return err
	}
	tag, err := x.server.config.Store.Set(x.server.base, key, value, options)
	if err != nil {
		return err
	}
	x.done(key, tag)
	return nil
}

// has answers /is.
func has(x *exchange) error {
	key, options, err := x.keyAndOptions()
	if err != nil {
		return err
	}
	tag, err := x.server.config.Store.Has(x.server.base, key, options)
	if err != nil {
		return err
	}
	x.done(key, tag)
	return nil
}

// remove answers /rm.
func remove(x *exchange) error {
	key, options, err := x.keyAndOptions()
	if err != nil {
		return err
	}
	if err := x.server.config.Store.Remove(x.server.base, key, options); err != nil {
		return err
	}
	if !x.wantsJSON() {
		x.ok()
		return nil
	}
	b := append(x.body[:0], `{"key":`...)
	x.json(append(appendJSON(b, key), `,"removed":true}`+"\n"...))
	return nil
}

// keyAndOptions returns the key, which a request about one key must have, and the options, which it
// may have.
func (x *exchange) keyAndOptions() (key []byte, o kv.Options, err error) {
	if key, err = x.key(); err == nil {
		o, err = x.options()
	}
	return key, o, err
}

// clearAll answers /clear. The store sets the deadline: a clear is a step of the topology and may
// wait for an election.
func clearAll(x *exchange) error {
	options, err := x.options()
	if err != nil {
		return err
	}
	options.Deadline = time.Time{}
	if err := x.server.config.Store.Clear(x.server.base, options); err != nil {
		return err
	}
	if !x.wantsJSON() {
		x.ok()
		return nil
	}
	x.json(append(x.body[:0], `{"cleared":true}`+"\n"...))
	return nil
}
