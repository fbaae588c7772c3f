package quorum

import (
	"context"

	"viakv/api/kv"
	"viakv/quorum/replica"
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
	best, err := op.read(ReadRecord, 0)
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
	best, err := op.read(ReadTag, 0)
	if err != nil {
		return version.Tag{}, err
	}
	if !best.Live() {
		return best.Tag, kv.ErrMissing
	}
	return best.Tag, nil
}

// read finds the key's present record, and makes sure that no later read finds an older one. It
// asks at least as many replicas as least says. The record borrows the operation's buffers until
// the next phase.
func (o *operation) read(kind Kind, least int) (*version.Record, error) {
	for {
		err := o.ask(kind, max(o.readAsks(), least))
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
		if err == replica.ErrEpoch && o.renew() {
			continue
		}
		return nil, o.unavailable(kv.None, "read", err)
	}
}

// repair stores the record that a query phase found, so that W replicas hold it before the read
// answers. The replicas that were found to hold it already count.
func (o *operation) repair(f findings) error {
	o.c.stats.repaired.Add(1)
	o.record = f.best.Clone() // the next phase reuses the buffer that best lies in
	need := o.firm()
	o.begin(need)
	o.countHolders(f.holders)
	return o.store(everyone&^f.holders, need-f.holders.len())
}
