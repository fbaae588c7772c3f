package quorum

import (
	"context"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// Import writes a value that was set in another cluster, before its node joined this one. Neither
// side knew of the other's writes, so the import is concurrent with every version of the key here.
// As between any two concurrent writes, the higher tag stays. The imported record keeps the counter
// that its value had, and carries no vector. Import reports whether the imported value stays.
//
// An import may be repeated after an unknown outcome: the same counter at the same incarnation is
// the same record (Q5). Before the caller's clock mints new tags, it must be past all counters that
// the caller imports.
func (c *Coordinator) Import(_ context.Context, key, value []byte, counter uint64, opt kv.Options) (bool, error) {
	op, err := c.begin(key, opt)
	if err != nil {
		return false, err
	}
	defer op.finish()
	f, err := op.query(kv.None)
	if err != nil {
		return false, err
	}
	tag := version.Tag{Generation: op.v.Generation, Counter: counter, Incarnation: op.v.Incarnation()}
	if f.best.Tag.Counter != 0 && f.best.Tag != tag {
		c.stats.conflicts.Add(1)
	}
	if tag.Less(f.best.Tag) {
		return false, nil
	}
	op.record = version.Record{Tag: tag, Value: value}
	return true, op.writeStore()
}
