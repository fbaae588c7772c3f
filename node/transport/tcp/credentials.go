package tcp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Credentials returns a value for Config.TLS: mutual TLS 1.3 from three PEM files, which are read
// again when they change. A peer is let in when the authority has signed its certificate. The
// certificate's name is not compared with the peer's address: the topology knows nodes by name, and
// nodes move between addresses.
func Credentials(certFile, keyFile, caFile string) (func() (*tls.Config, error), error) {
	c := &credentials{files: [3]string{certFile, keyFile, caFile}}
	if _, err := c.config(); err != nil {
		return nil, err
	}
	return c.config, nil
}

type credentials struct {
	files [3]string

	mu      sync.Mutex
	changed [3]time.Time
	current *tls.Config
}

// config returns the configuration of the files' present content. While the files cannot be read
// the last good configuration stays in use.
func (c *credentials) config() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var changed [3]time.Time
	for i, f := range c.files {
		info, err := os.Stat(f)
		if err != nil {
			return c.keep(err)
		}
		changed[i] = info.ModTime()
	}
	if c.current != nil && changed == c.changed {
		return c.current, nil
	}
	next, err := loadCredentials(c.files)
	if err != nil {
		return c.keep(err)
	}
	c.current, c.changed = next, changed
	return next, nil
}

func (c *credentials) keep(err error) (*tls.Config, error) {
	if c.current != nil {
		return c.current, nil
	}
	return nil, fmt.Errorf("tcp: peer credentials: %w", err)
}

func loadCredentials(files [3]string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(files[0], files[1])
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(files[2])
	if err != nil {
		return nil, err
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", files[2])
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
