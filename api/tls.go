package api

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"go.uber.org/zap"

	"viakv/api/reload"
)

// load reads the files. The result refuses clients older than TLS 1.2 and offers no HTTP/2, which a
// proxy in front speaks.
func (t TLSConfig) load() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
		NextProtos:   []string{"http/1.1"},
	}
	if t.ClientCAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, err
	}
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it", t.ClientCAFile)
	}
	return c, nil
}

// watchTLS returns a configuration that follows the files: each handshake uses their present
// content, at most a second old. The function that it returns loads them at once.
func watchTLS(t TLSConfig, log *zap.Logger) (*tls.Config, func(), error) {
	paths := []string{t.CertFile, t.KeyFile}
	if t.ClientCAFile != "" {
		paths = append(paths, t.ClientCAFile)
	}
	files, err := reload.New("TLS certificate", log, t.load, paths...)
	if err != nil {
		return nil, nil, fmt.Errorf("api: %w", err)
	}
	outer := files.Get().Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return files.Get(), nil }
	return outer, files.Reload, nil
}
