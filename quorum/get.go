package quorum

import (
	"context"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// Get appends the key's value to dst.
func (c *Coordinator) Get(_ context.Context, dst, key []byte, opt kv.Options) ([]byte, version.Tag, error) {
	op, err := c.begin(key, opt)
	if err != nil {
		return dst, version.Tag{}, err
	}
	defer op.finish()
	c.stats.reads.Add(1)
	best, err := op.read(ReadRecord)
	if err != nil {
		return dst, version.Tag{}, err
	}
	if !best.Live() {
		return dst, best.Tag, kv.ErrMissing
	}
	return append(dst, best.Value...), best.Tag, nil
}

// Has reports the version of the key's value.
func (c *Coordinator) Has(_ context.Context, key []byte, opt kv.Options) (version.Tag, error) {
	op, err := c.begin(key, opt)
	if err != nil {
		return version.Tag{}, err
	}
	defer op.finish()
	c.stats.reads.Add(1)
	best, err := op.read(ReadTag)
	if err != nil {
		return version.Tag{}, err
	}
	if !best.Live() {
		return best.Tag, kv.ErrMissing
	}
	return best.Tag, nil
}

// read finds the key's present record, and makes sure that no later read finds an older one. The record borrows the operation's
// buffers until the next phase.
func (o *operation) read(kind Kind) (*version.Record, error) {
	for {
		// Where R is smaller than what makes a record firm, asking so many at once saves the write-back.
		err := o.ask(kind, max(o.r, o.firm()))
		if err == nil {
			f := o.found()
			if f.holders.len() >= o.firm() {
				return f.best, nil
			}
			if kind == ReadTag { // repair needs the value
				kind = ReadRecord
				continue
			}
			if err = o.repair(f); err == nil {
				return &o.record, nil
			}
		}
		if err == errStale && o.renew() {
			continue
		}
		return nil, o.unavailable(kv.None, "read", err)
	}
}

// repair stores the record that a query phase found at W replicas, before it is answered. Those that were found to hold it count.
func (o *operation) repair(f findings) error {
	o.c.stats.repaired.Add(1)
	o.record = f.best.Clone() // the next phase reuses the buffer it lies in
	o.begin(o.w)
	o.countHolders(f.holders)
	return o.store(everyone&^f.holders, o.w-f.holders.len())
}
