package tcp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLife is how long the certificates that MakeCertificates makes are valid.
const certificateLife = 5 * 365 * 24 * time.Hour

// MakeCertificates makes a certificate authority in dir, unless there is one, and a certificate for
// each name. A certificate is good for its name, for this machine, and for the given hosts, which
// are names or addresses. MakeCertificates returns the files that it wrote, and never overwrites a
// file.
func MakeCertificates(dir string, names []string, hosts ...string) (written []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	ca, key, made, err := authority(dir)
	written = append(written, made...)
	if err != nil {
		return written, err
	}
	for _, name := range names {
		made, err := makeLeaf(dir, name, hosts, ca, key)
		written = append(written, made...)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func authority(dir string) (*x509.Certificate, crypto.Signer, []string, error) {
	certFile, keyFile := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	var made []string
	if _, err := os.Stat(certFile); errors.Is(err, fs.ErrNotExist) {
		template := template("viakv development authority")
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage = x509.KeyUsageCertSign
		if made, err = makePair(certFile, keyFile, template, nil, nil); err != nil {
			return nil, nil, made, err
		}
	}
	cert, key, err := loadPair(certFile, keyFile)
	return cert, key, made, err
}

func makeLeaf(dir, name string, hosts []string, ca *x509.Certificate, key crypto.Signer) ([]string, error) {
	if name == "ca" || name != filepath.Base(name) {
		return nil, fmt.Errorf("tcp: %q cannot be a node's file name", name)
	}
	t := template(name)
	for _, host := range append([]string{name, "localhost", "127.0.0.1", "::1"}, hosts...) {
		// Clients look for an address only among the addresses, and for a name only among the
		// names.
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return makePair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"), t, ca, key)
}

func template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(fmt.Sprintf("tcp: the system has no randomness: %v", err))
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
	}
}

// makePair writes a new key and its certificate, which is signed by the parent, or by itself where
// parent is nil.
func makePair(certFile, keyFile string, t, parent *x509.Certificate, parentKey crypto.Signer) ([]string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		parent, parentKey = t, key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writeNew(keyFile, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return nil, err
	}
	if err := writeNew(certFile, "CERTIFICATE", der, 0o644); err != nil {
		return []string{keyFile}, err
	}
	return []string{certFile, keyFile}, nil
}

func writeNew(file, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	return errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Close())
}

func loadPair(certFile, keyFile string) (*x509.Certificate, crypto.Signer, error) {
	cert, err := readPEM(certFile)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := readPEM(keyFile)
	if err != nil {
		return nil, nil, err
	}
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", certFile, err)
	}
	k, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	signer, ok := k.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("%s holds a key that cannot sign", keyFile)
	}
	return c, signer, nil
}

func readPEM(file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is no PEM file", file)
	}
	return block.Bytes, nil
}
