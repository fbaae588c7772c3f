package quorum

import (
	"strings"

	"viakv/api/kv"
)

// room refuses a new value while any member may hold no more, whichever it is: each of them stores
// every value, so the answer must not depend on the node that is asked, nor on which replicas a
// query happens to meet. What members have said of themselves is up to half a second old.
func (o *operation) room() error {
	var full memberSet
	if o.v.Store.Full() {
		full.add(o.v.Self)
	}
	if reached := o.c.cfg.Full; reached != nil {
		for m := range o.v.Members {
			if m != o.v.Self && reached(o.v, m) {
				full.add(m)
			}
		}
	}
	return o.refuse(full)
}

// refuse names the members at whose limit a new value is refused; nil for none.
func (o *operation) refuse(full memberSet) error {
	var names []string
	for m := range o.v.Members {
		if full.has(m) {
			names = append(names, o.v.Members[m].Name)
		}
	}
	switch n := len(names); n {
	case 0:
		return nil
	case 1:
		return kv.Detail(kv.ErrMemoryLimit, "%s holds as much as its --max-memory allows; remove keys, clear, or start it with a higher limit", names[0])
	default:
		return kv.Detail(kv.ErrMemoryLimit, "%s and %s hold as much as their --max-memory allows; remove keys, clear, or start them with a higher limit",
			strings.Join(names[:n-1], ", "), names[n-1])
	}
}
