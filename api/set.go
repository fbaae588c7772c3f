package api

// set answers /set.
func set(x *exchange) error {
	key, err := x.key()
	if err != nil {
		return err
	}
	value, err := x.value()
	if err != nil {
		return err
	}
	options, err := x.options()
	if err != nil {
		return err
	}
	tag, err := x.server.config.Store.Set(x.server.base, key, value, options)
	if err != nil {
		return err
	}
	x.done(key, tag)
	return nil
}
