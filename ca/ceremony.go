package ca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
)

// CreateRoot makes the self-signed certificate of a root.
func CreateRoot(r Root, signer crypto.Signer) (*x509.Certificate, error) {
	if !r.NotBefore.Before(r.NotAfter) {
		return nil, fmt.Errorf("%w: the validity is empty", ErrRequest)
	}
	template, err := rootTemplate(r, signer.Public())
	if err != nil {
		return nil, fmt.Errorf("preparing a root: %w", err)
	}
	return create(template, template, signer.Public(), signer)
}

// CreateIssuing makes the certificate of an issuing authority under a root.
func CreateIssuing(i Issuing, root *x509.Certificate, signer crypto.Signer) (*x509.Certificate, error) {
	if !samePublic(root.PublicKey, signer.Public()) {
		return nil, errors.New("certificate and key of the root do not belong together")
	}
	if !i.NotBefore.Before(i.NotAfter) || i.NotBefore.Before(root.NotBefore) || i.NotAfter.After(root.NotAfter) {
		return nil, fmt.Errorf("%w: the validity is not within the root's", ErrRequest)
	}
	if err := (Profile{IssuerURL: i.IssuerURL, CRLURL: i.CRLURL}).check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	template, err := issuingTemplate(i)
	if err != nil {
		return nil, fmt.Errorf("preparing an issuing authority: %w", err)
	}
	return create(template, root, i.PublicKey, signer)
}

// create signs and verifies before anything leaves.
func create(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading an issued certificate: %w", err)
	}
	issuer := parent
	if parent == template {
		issuer = c
	}
	if err := c.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("verifying an issued certificate: %w", err)
	}
	return c, nil
}
