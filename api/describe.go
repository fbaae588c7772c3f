package api

import (
	"runtime"

	"viakv/api/openapi"
)

// showVersion answers /version.
func showVersion(x *exchange) error {
	return x.document(struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Go      string `json:"go"`
	}{x.server.config.Name, x.server.config.Version, runtime.Version()})
}

// showOpenAPI answers /openapi.yaml.
func showOpenAPI(x *exchange) error {
	x.ctx.SetContentType("application/yaml")
	x.ctx.SetBody(openapi.Document)
	return nil
}
