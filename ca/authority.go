package ca

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
)

// Config names the parts of an Authority.
type Config struct {
	// Certificate and Signer are the issuing authority's.
	Certificate *x509.Certificate
	Signer      crypto.Signer
	Profile     Profile
	// Addresses are named in what the authority issues.
	Addresses Addresses
	// Lint judges a certificate before it is issued; lint.Certificate does.
	Lint Lint
}

// Lint judges a certificate by its bytes.
type Lint func(der []byte) error

// Addresses are where a validator fetches what it needs of an authority. All
// are http: whoever fetches over https may need the very revocation data that
// it is fetching (RFC 5280, section 8).
type Addresses struct {
	Issuer string // the authority's certificate, DER
	OCSP   string // its responder; empty where none answers
}

// Authority issues certificates to citizens and to its services. It is safe
// for concurrent use as far as its Signer is.
type Authority struct {
	Config
	// rehearsal is a throw-away key of the same kind as the issuing one. It
	// signs what is linted, so that the issuing key signs nothing else than
	// what is issued.
	rehearsal crypto.Signer
}

// Errors of issuing. None of them is a citizen's to mend.
var (
	ErrRequest  = errors.New("certificate request cannot be met")
	ErrRedeemed = errors.New("issuance token already redeemed")
	ErrMismatch = errors.New("certificate is not the one that was asked for")
)

// New checks that the parts fit together and makes an Authority.
func New(c Config) (*Authority, error) {
	if c.Lint == nil {
		return nil, errNoLint
	}
	if err := c.Profile.check(); err != nil {
		return nil, fmt.Errorf("checking the profile: %w", err)
	}
	if err := c.Addresses.check(); err != nil {
		return nil, err
	}
	if !c.Certificate.IsCA || c.Certificate.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, errors.New("certificate of the authority is not one of an authority")
	}
	if !samePublic(c.Certificate.PublicKey, c.Signer.Public()) {
		return nil, errors.New("certificate and key of the authority do not belong together")
	}
	rehearsal, err := likeKey(c.Certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	return &Authority{Config: c, rehearsal: rehearsal}, nil
}

var errNoLint = errors.New("authority without a lint")

// Prepare fixes, lints and checks a citizen's certificate without using the
// issuing key.
func (a *Authority) Prepare(r Request) (*Prepared, error) {
	f, err := a.citizen(r)
	if err != nil {
		return nil, err
	}
	return a.prepare(&f)
}

// PrepareOCSP does so for a responder that answers for this authority (RFC
// 6960, section 4.2.2.2).
func (a *Authority) PrepareOCSP(r ServiceRequest) (*Prepared, error) {
	f, err := a.service(responderKind(), r)
	if err != nil {
		return nil, err
	}
	return a.prepare(&f)
}

// PrepareTSA does so for a time-stamping unit (ETSI EN 319 422, section 6).
// KeyEnd of the certificate tells how long it may stamp.
func (a *Authority) PrepareTSA(r ServiceRequest) (*Prepared, error) {
	f, err := a.service(timeStampKind(), r)
	if err != nil {
		return nil, err
	}
	return a.prepare(&f)
}

func (a *Authority) prepare(f *facts) (*Prepared, error) {
	p, err := prepare(f, a.rehearsal, a.Lint)
	if err != nil {
		return nil, err
	}
	p.authority = a
	return p, nil
}

// Issue signs a prepared certificate, compares it with what was prepared and
// verifies it. Whatever comes of it, p is spent: a second use is ErrRedeemed.
func (a *Authority) Issue(p *Prepared) ([]byte, error) {
	if p.authority != a {
		return nil, fmt.Errorf("%w: prepared by another authority", ErrMismatch)
	}
	c, err := p.sign(a.Certificate, a.Signer)
	if err != nil {
		return nil, err
	}
	return c.Raw, nil
}
