package stateless

import (
	"viakv/api/kv"
	"viakv/quorum/version"
)

// Answer gives each key of a batch this error, and neither a value nor a version.
func Answer(batch []kv.Read, err error) {
	for i := range batch {
		r := &batch[i]
		r.Value, r.Version, r.Err = nil, version.Tag{}, err
	}
}
