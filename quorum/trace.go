package quorum

import "viakv/api/kv"

// Trace is that of the request that the call is part of. Like Key, it may be read only while the call is started.
func (c *Call) Trace() kv.Trace { return c.op.asked.Trace }
