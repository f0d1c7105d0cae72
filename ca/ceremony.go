package ca

import (
	"crypto"
	"crypto/x509"
	"errors"
	"time"
)

// Root is what is asked of a root certificate.
type Root struct {
	Name      Name
	NotBefore time.Time
	NotAfter  time.Time
}

// Issuing is what is asked of an issuing authority's certificate.
type Issuing struct {
	Name      Name
	PublicKey any
	NotBefore time.Time
	NotAfter  time.Time
	// Addresses are the root's: its certificate, and a responder if it has one.
	Addresses Addresses
	CRL       string // address of the root's list, http
}

// CreateRoot makes the self-signed certificate of a root.
func CreateRoot(r Root, signer crypto.Signer, lint Lint) (*x509.Certificate, error) {
	f := facts{
		kind: rootKind(), subject: r.Name.subject(), public: signer.Public(), notBefore: r.NotBefore, notAfter: r.NotAfter,
	}
	return create(&f, signer, lint)
}

// CreateIssuing makes the certificate of an issuing authority under a root.
func CreateIssuing(i Issuing, root *x509.Certificate, signer crypto.Signer, lint Lint) (*x509.Certificate, error) {
	if !samePublic(root.PublicKey, signer.Public()) {
		return nil, errors.New("certificate and key of the root do not belong together")
	}
	f := facts{
		kind: issuingKind(), issuer: root, subject: i.Name.subject(), public: i.PublicKey, notBefore: i.NotBefore, notAfter: i.NotAfter,
		addresses: i.Addresses, crl: i.CRL,
	}
	return create(&f, signer, lint)
}

// create prepares an authority's certificate with a throw-away key, as the
// authority itself will those below it, and signs it once.
func create(f *facts, signer crypto.Signer, lint Lint) (*x509.Certificate, error) {
	if lint == nil {
		return nil, errNoLint
	}
	if err := f.checkLegalPerson(); err != nil {
		return nil, err
	}
	rehearsal, err := likeKey(signer.Public())
	if err != nil {
		return nil, err
	}
	p, err := prepare(f, rehearsal, lint)
	if err != nil {
		return nil, err
	}
	return p.sign(f.issuer, signer)
}
