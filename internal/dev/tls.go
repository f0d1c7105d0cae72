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

// TLS are the files with which a door of the personnel is reached in
// development: an authority of the environment's own, the door's certificate and
// that of somebody who may enter.
type TLS struct {
	CA                           string
	Certificate, Key             string
	ClientCertificate, ClientKey string
}

// files are where a door's are, below its directory.
func files(dir, client string) TLS {
	return TLS{
		CA:          filepath.Join(dir, "tls-ca.pem"),
		Certificate: filepath.Join(dir, "server.pem"), Key: filepath.Join(dir, "server.key"),
		ClientCertificate: filepath.Join(dir, client+".pem"), ClientKey: filepath.Join(dir, client+".key"),
	}
}

// makeAuditorTLS makes what is missing in auditor/. The auditor's key is written
// last, as the sign that all is there.
func makeAuditorTLS(d *directory) (TLS, error) {
	f := files(d.join("auditor"), "auditor")
	err := d.once("auditor", "auditor.key", func(in folder) error {
		ca, err := newAuthority(pkix.Name{CommonName: "Rúbrica development, TLS"})
		if err != nil {
			return err
		}
		return errors.Join(in.certificate("tls-ca", ca.certificate), in.pair("server", ca, server()), in.pair("auditor", ca, person("Auditora de Desarrollo")))
	})
	return f, err
}

// once fills a directory below the environment's unless it has its last file.
func (d *directory) once(name, last string, fill func(folder) error) error {
	if _, err := os.Stat(d.join(name, last)); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return failure(StatusDirectory, "looking for certificates: %w", err)
	}
	if err := os.MkdirAll(d.join(name), 0o711); err != nil { //nolint:gosec // the door's process passes through it
		return failure(StatusDirectory, "making a directory for certificates: %w", err)
	}
	if err := fill(folder{d, name}); err != nil {
		return failure(StatusDirectory, "making the certificates in %s: %w", name, err)
	}
	return nil
}

// authority issues certificates; its key is forgotten with it.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(name pkix.Name) (authority, error) {
	template := certificate(name)
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	key, err := newKey()
	if err != nil {
		return authority{}, err
	}
	made, err := authority{template, key}.sign(template, key)
	return authority{made, key}, err
}

func (a authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	return made, nil
}

func certificate(name pkix.Name) *x509.Certificate {
	now := time.Now().Add(-time.Hour)
	serial := make([]byte, 16)
	rand.Read(serial)
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: name,
		NotBefore: now, NotAfter: now.AddDate(2, 0, 0), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// server is for a door on this machine.
func server() *x509.Certificate {
	c := certificate(pkix.Name{CommonName: "localhost"})
	c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return c
}

// person is for somebody of the personnel.
func person(name string) *x509.Certificate {
	c := certificate(pkix.Name{CommonName: name})
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return c
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

// folder is a directory that certificates are written to.
type folder struct {
	dir  *directory
	name string
}

func (f folder) certificate(name string, c *x509.Certificate) error {
	return f.dir.writeFor(0o644, filepath.Join(f.name, name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
}

// pair issues a certificate and writes it, then its key.
func (f folder) pair(name string, issuer authority, template *x509.Certificate) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	made, err := issuer.sign(template, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding a key: %w", err)
	}
	if err := f.certificate(name, made); err != nil {
		return err
	}
	return f.dir.write(filepath.Join(f.name, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}
