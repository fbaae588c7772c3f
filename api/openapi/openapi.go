// Package openapi holds the description of the HTTP API, OpenAPI 3.1, which the server serves at /openapi.yaml and the tests check
// every kind of answer against.
package openapi

import _ "embed"

// Document is the description, YAML. Not to be modified.
//
//go:embed openapi.yaml
var Document []byte
