package api

import (
	"time"
)

// clearAll answers /clear. The deadline is the store's own: a clear is a step of the topology and may wait for an election.
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
