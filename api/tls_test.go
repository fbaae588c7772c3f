package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority issues certificates for a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{c, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

func (a *authority) issue(t testing.TB, serial int64) (certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// files writes a certificate of the serial number 2 and its key, and returns where they are.
func (a *authority) files(t testing.TB) TLSConfig {
	t.Helper()
	dir := t.TempDir()
	c := TLSConfig{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	certificate, key := a.issue(t, 2)
	write(t, c.CertFile, certificate)
	write(t, c.KeyFile, key)
	return c
}

// overTLS makes the harness's client speak TLS. Every request has a connection of its own, so that
// each makes a handshake.
func (h *harness) overTLS(a *authority, certificates ...tls.Certificate) *http.Transport {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certificates}}
	h.client.Transport = transport
	return transport
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	files := ca.files(t)
	store, want := filled(t, 5000)
	h := start(t, Config{Store: store, TLS: files, ReadTimeout: 5 * time.Second})
	h.overTLS(ca)
	serial := func() int64 {
		response, err := h.client.Get("https://" + h.addr + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if serial() != 2 {
		t.Error("the server presents another certificate than the one in its file")
	}
	// A stream over TLS is complete.
	response, err := h.client.Get("https://" + h.addr + "/getAll?format=ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	pairs, _ := ndjson(t, string(body))
	samePairs(t, pairs, want)

	// A renewed certificate is presented without a restart.
	renewed, key := ca.issue(t, 3)
	write(t, files.CertFile, renewed)
	write(t, files.KeyFile, key)
	eventually(t, "the new certificate is presented", func() bool { return serial() == 3 })

	// Neither plain HTTP nor TLS 1.1 is served.
	if got := h.raw("GET /livez HTTP/1.0\r\n\r\n"); strings.Contains(got, "200") {
		t.Errorf("plain HTTP got %q", got)
	}
	old := h.overTLS(ca)
	old.TLSClientConfig.MaxVersion = tls.VersionTLS11
	if _, err := h.client.Get("https://" + h.addr + "/livez"); err == nil {
		t.Error("TLS 1.1 is accepted")
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	files := ca.files(t)
	files.ClientCAFile = filepath.Join(t.TempDir(), "ca")
	write(t, files.ClientCAFile, ca.pem)
	h := start(t, Config{TLS: files})
	admin := h.admin(t)
	try := func(a *authority) error {
		var certificates []tls.Certificate
		if a != nil {
			pair, err := tls.X509KeyPair(pems(a.issue(t, 9)))
			if err != nil {
				t.Fatal(err)
			}
			certificates = append(certificates, pair)
		}
		h.overTLS(ca, certificates...)
		response, err := h.client.Get("https://" + h.addr + "/livez")
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := try(ca); err != nil {
		t.Error(err)
	}
	if try(nil) == nil || try(stranger) == nil {
		t.Error("a client without our certificate is served")
	}
	// The admin listener asks for no client certificate.
	h.client.Transport = &http.Transport{DisableKeepAlives: true}
	h.addr = admin
	h.get("/readyz").want(t, 200, "OK\n")
	h.get("/metrics").want(t, 200, "*")
}

func pems(certificate, key string) ([]byte, []byte) { return []byte(certificate), []byte(key) }

func TestBadTLSFiles(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	files := TLSConfig{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"), ClientCAFile: filepath.Join(dir, "ca")}
	certificate, key := ca.issue(t, 2)
	for _, content := range [][3]string{{"", key, ca.pem}, {certificate, "", ca.pem}, {certificate, key, "nothing"}} {
		write(t, files.CertFile, content[0])
		write(t, files.KeyFile, content[1])
		write(t, files.ClientCAFile, content[2])
		if _, err := New(Config{Store: &recorder{}, TLS: files}); err == nil {
			t.Errorf("accepted %.40q", content)
		}
	}
	files.ClientCAFile += ".none"
	write(t, files.CertFile, certificate)
	if _, err := New(Config{Store: &recorder{}, TLS: files}); err == nil {
		t.Error("a missing CA file is accepted")
	}
}
