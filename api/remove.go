package api

// remove answers /rm.
func remove(x *exchange) error {
	key, err := x.key()
	if err != nil {
		return err
	}
	options, err := x.options()
	if err != nil {
		return err
	}
	if err := x.server.config.Store.Remove(x.server.base, key, options); err != nil {
		return err
	}
	if !x.wantsJSON() {
		x.ok()
		return nil
	}
	b := append(x.body[:0], `{"key":`...)
	x.json(append(appendJSON(b, key), `,"removed":true}`+"\n"...))
	return nil
}
