// Package openapi holds the description of the HTTP API, in OpenAPI 3.1. The server serves it at
// /openapi.yaml, and the tests check every kind of answer against it.
package openapi

import _ "embed"

// Document is the description, in YAML. It must not be modified.
//
//go:embed openapi.yaml
var Document []byte
