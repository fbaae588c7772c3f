package api

// get answers /get: the value's bytes, or with its key and version as JSON.
func get(x *exchange) error {
	key, err := x.key()
	if err != nil {
		return err
	}
	options, err := x.options()
	if err != nil {
		return err
	}
	value, tag, err := x.server.config.Store.Get(x.server.base, x.body[:0], key, options)
	if err != nil {
		return err
	}
	if !x.wantsJSON() {
		x.ctx.SetContentType(textType)
		x.ctx.SetBody(value)
		x.body = value[:0]
		return nil
	}
	b := append([]byte(nil), `{"key":`...)
	b = appendJSON(b, key)
	b = append(b, `,"value":`...)
	b = appendJSON(b, value)
	b = append(b, `,"version":"`...)
	b = appendTag(b, tag)
	x.json(append(b, '"', '}', '\n'))
	return nil
}
