package api

// has answers /is.
func has(x *exchange) error {
	key, err := x.key()
	if err != nil {
		return err
	}
	options, err := x.options()
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
