package cli

import (
	"errors"

	"viakv/api/pairs"
)

// exportedPair is a line with a pair: the format of exports is that of pairs.NDJSON. A file without
// the last line is not complete.
type exportedPair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// exportedEnd is the last line.
type exportedEnd struct {
	End   bool  `json:"end"`
	Count int64 `json:"count"`
}

// whole returns nil when the export was read to its last line. With partial an export may end
// without it.
func whole(in *pairs.Reader, partial bool) error {
	if in.Err() == nil && !in.Ended() && !partial {
		return errors.New(`the last line {"end":true,"count":N} is missing, so the file may be cut; if it is whole, repeat with --partial`)
	}
	return in.Err()
}
