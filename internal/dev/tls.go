package dev

import (
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

// TLS are the files with which the auditor's door is reached in development: an
// authority of the environment's own, the door's certificate and an auditor's.
type TLS struct {
	CA                           string
	Certificate, Key             string
	ClientCertificate, ClientKey string
}

// makeTLS makes what is missing in auditor/.
func makeTLS(d *directory) (TLS, error) {
	dir := d.join("auditor")
	files := TLS{
		CA:          filepath.Join(dir, "tls-ca.pem"),
		Certificate: filepath.Join(dir, "server.pem"), Key: filepath.Join(dir, "server.key"),
		ClientCertificate: filepath.Join(dir, "auditor.pem"), ClientKey: filepath.Join(dir, "auditor.key"),
	}
	if _, err := os.Stat(files.ClientKey); err == nil {
		return files, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return files, failure(StatusDirectory, "looking for the auditor's certificate: %w", err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil { //nolint:gosec // the auditor's process passes through it
		return files, failure(StatusDirectory, "making a directory for the auditor's certificates: %w", err)
	}
	if err := files.issue(d); err != nil {
		return files, failure(StatusDirectory, "making the auditor's certificates: %w", err)
	}
	return files, nil
}

// issue makes an authority whose key is forgotten, and the two certificates that
// it signs; the auditor's key is written last, as the sign that all is there.
func (t TLS) issue(d *directory) error {
	now := time.Now().Add(-time.Hour)
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: now, NotAfter: now.AddDate(2, 0, 0), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		}
	}
	ca := template(1, "Rúbrica development, TLS")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	caKey, err := newKey()
	if err != nil {
		return err
	}
	if err := t.write(d, ca, ca, caKey, caKey, t.CA, ""); err != nil {
		return err
	}
	server := template(2, "localhost")
	server.DNSNames, server.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	client := template(3, "Auditora de Desarrollo")
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, c := range []struct {
		template         *x509.Certificate
		certificate, key string
	}{{server, t.Certificate, t.Key}, {client, t.ClientCertificate, t.ClientKey}} {
		key, err := newKey()
		if err != nil {
			return err
		}
		if err := t.write(d, c.template, ca, key, caKey, c.certificate, c.key); err != nil {
			return err
		}
	}
	return nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

func (t TLS) write(d *directory, template, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey, certificateFile, keyFile string) error {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		return fmt.Errorf("signing a certificate: %w", err)
	}
	name := func(file string) string { return filepath.Join("auditor", filepath.Base(file)) }
	if err := d.writeFor(0o644, name(certificateFile), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))); err != nil {
		return err
	}
	if keyFile == "" {
		return nil
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding a key: %w", err)
	}
	return d.write(name(keyFile), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}
