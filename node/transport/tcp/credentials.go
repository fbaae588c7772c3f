package tcp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"go.uber.org/zap"

	"viakv/api/reload"
)

// Credentials returns a value for Config.TLS: mutual TLS 1.3 from three PEM files. A connection
// gets the configuration that the files held at most a second ago. While they cannot be loaded, the
// last good configuration stays in use, and the log has the reason.
//
// A peer is let in when the authority has signed its certificate. The certificate's name is not
// compared with the peer's address: the topology knows nodes by name, and nodes move between
// addresses.
func Credentials(certFile, keyFile, caFile string, log *zap.Logger) (func() (*tls.Config, error), error) {
	load := func() (*tls.Config, error) { return loadCredentials(certFile, keyFile, caFile) }
	files, err := reload.New("peer credentials", log, load, certFile, keyFile, caFile)
	if err != nil {
		return nil, fmt.Errorf("tcp: %w", err)
	}
	return func() (*tls.Config, error) { return files.Get(), nil }, nil
}

func loadCredentials(certFile, keyFile, caFile string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		ClientCAs:    authority,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		// The chain is verified below, for any use and without a host name.
		InsecureSkipVerify: true, //nolint:gosec // see VerifyConnection
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("tcp: the peer shows no certificate")
			}
			between := x509.NewCertPool()
			for _, c := range s.PeerCertificates[1:] {
				between.AddCert(c)
			}
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots: authority, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			return err
		},
	}, nil
}
