package quorum

// overtaken gives a hint to a member that refuses a record because it has gone on to a newer epoch. Mostly the phase is run again at that epoch and brings
// the record there, and the hint is one too many. But where enough others have taken it, the request is answered and nothing is run again.
func (o *operation) overtaken(call *Call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calls[call.Member] == call {
		o.missLocked(call.Member)
	}
}
