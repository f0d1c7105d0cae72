package ca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
)

// CreateRoot makes the self-signed certificate of a root.
func CreateRoot(r Root, signer crypto.Signer, lint Lint) (*x509.Certificate, error) {
	if !r.NotBefore.Before(r.NotAfter) {
		return nil, fmt.Errorf("%w: the validity is empty", ErrRequest)
	}
	template, err := rootTemplate(r, signer.Public())
	if err != nil {
		return nil, fmt.Errorf("preparing a root: %w", err)
	}
	// Named, so that the rehearsal, which is not signed with its own key, has it too.
	template.AuthorityKeyId = template.SubjectKeyId
	return create(template, template, signer.Public(), signer, lint)
}

// CreateIssuing makes the certificate of an issuing authority under a root.
func CreateIssuing(i Issuing, root *x509.Certificate, signer crypto.Signer, lint Lint) (*x509.Certificate, error) {
	if !samePublic(root.PublicKey, signer.Public()) {
		return nil, errors.New("certificate and key of the root do not belong together")
	}
	if !i.NotBefore.Before(i.NotAfter) || i.NotBefore.Before(root.NotBefore) || i.NotAfter.After(root.NotAfter) {
		return nil, fmt.Errorf("%w: the validity is not within the root's", ErrRequest)
	}
	if err := i.Addresses.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if !isHTTP(i.CRL) {
		return nil, fmt.Errorf("%w: %q is no http address of a list", ErrRequest, i.CRL)
	}
	template, err := issuingTemplate(i)
	if err != nil {
		return nil, fmt.Errorf("preparing an issuing authority: %w", err)
	}
	return create(template, root, i.PublicKey, signer, lint)
}

// create lints what a throw-away key signed before the key of the authority is
// used, and verifies before anything leaves.
func create(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer, lint Lint) (*x509.Certificate, error) {
	rehearsal, err := likeKey(key.Public())
	if err != nil {
		return nil, err
	}
	issuer := *parent
	issuer.PublicKey = rehearsal.Public()
	der, err := x509.CreateCertificate(rand.Reader, template, &issuer, public, rehearsal)
	if err != nil {
		return nil, fmt.Errorf("rehearsing a certificate: %w", err)
	}
	if err := lint(der); err != nil {
		return nil, fmt.Errorf("linting a certificate: %w", err)
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, parent, public, key); err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading an issued certificate: %w", err)
	}
	issuer = *parent
	if parent == template {
		issuer = *c
	}
	if err := c.CheckSignatureFrom(&issuer); err != nil {
		return nil, fmt.Errorf("verifying an issued certificate: %w", err)
	}
	return c, nil
}
