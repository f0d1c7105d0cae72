package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// Config names the parts of an Authority.
type Config struct {
	// Certificate and Signer are the issuing authority's.
	Certificate *x509.Certificate
	Signer      crypto.Signer
	// Chain is what stands above Certificate, the root not among them.
	Chain   []*x509.Certificate
	Profile Profile
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

// Authority issues certificates to citizens. It is safe for concurrent use as
// far as its Signer is.
type Authority struct {
	Config
	// rehearsal is a throw-away key of the same kind as the issuing one. It
	// signs what is linted, so that the issuing key signs nothing else than
	// what is issued.
	rehearsal crypto.Signer
}

// minRSA is the shortest RSA key that is certified (ETSI TS 119 312, for use
// beyond six years).
const minRSA = 3072

// Errors of issuing. None of them is a citizen's to mend.
var (
	ErrRequest  = errors.New("certificate request cannot be met")
	ErrRedeemed = errors.New("issuance token already redeemed")
	ErrMismatch = errors.New("issued certificate is not the prepared one")
)

// New checks that the parts fit together and makes an Authority.
func New(c Config) (*Authority, error) {
	if c.Lint == nil {
		return nil, errors.New("authority without a lint")
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

// ChainDER is the issuing certificate and those above it but the root.
func (a *Authority) ChainDER() [][]byte {
	chain := [][]byte{a.Certificate.Raw}
	for _, c := range a.Chain {
		chain = append(chain, c.Raw)
	}
	return chain
}

// Request is what a certificate is to say.
type Request struct {
	Identifier string // DNI or NIE, canonical
	GivenName  string
	Surnames   string
	PublicKey  crypto.PublicKey
	NotBefore  time.Time
	NotAfter   time.Time // as granted by policies; fractions of a second are cut
	// CRL is the address of the list that will name the certificate if it is
	// revoked: its shard's, http.
	CRL string
}

func (r Request) check(issuer *x509.Certificate) error {
	switch {
	case !isIdentifier(r.Identifier):
		return fmt.Errorf("%w: the identifier is not canonical", ErrRequest)
	case !isText(r.GivenName) || !isText(r.Surnames):
		return fmt.Errorf("%w: a name is missing or cannot be printed", ErrRequest)
	case !isHTTP(r.CRL):
		return fmt.Errorf("%w: %q is no http address of a list", ErrRequest, r.CRL)
	case !r.NotBefore.Before(r.NotAfter.Truncate(time.Second)):
		return fmt.Errorf("%w: the validity is empty", ErrRequest)
	case r.NotBefore.Before(issuer.NotBefore) || r.NotAfter.After(issuer.NotAfter):
		return fmt.Errorf("%w: the validity is not within the issuer's", ErrRequest)
	}
	switch key := r.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSA || key.E < 1<<16 {
			return fmt.Errorf("%w: RSA key of %d bits", ErrRequest, key.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if size := key.Curve.Params().BitSize; size != 256 && size != 384 {
			return fmt.Errorf("%w: curve of %d bits", ErrRequest, size)
		}
	default:
		return fmt.Errorf("%w: key of type %T", ErrRequest, key)
	}
	return nil
}

// isIdentifier asks for the form alone; citizen.Identifier has checked the letter.
func isIdentifier(s string) bool {
	if len(s) != 9 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

func isText(s string) bool {
	if s == "" || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// Prepared is a certificate that is fixed to the last byte of what will be
// signed, and was found good. It can be issued once.
type Prepared struct {
	authority *Authority
	template  *x509.Certificate
	public    crypto.PublicKey
	tbs       []byte
	redeemed  atomic.Bool
}

// Serial is the serial number, big-endian, without sign.
func (p *Prepared) Serial() []byte { return p.template.SerialNumber.Bytes() }

// NotBefore is the first moment of validity.
func (p *Prepared) NotBefore() time.Time { return p.template.NotBefore }

// NotAfter is the last moment of validity.
func (p *Prepared) NotAfter() time.Time { return p.template.NotAfter }

// Fingerprint is the SHA-256 of the TBSCertificate, for the record of intent.
func (p *Prepared) Fingerprint() []byte {
	sum := sha256.Sum256(p.tbs)
	return sum[:]
}

// Prepare fixes, lints and checks a certificate without using the issuing key.
func (a *Authority) Prepare(r Request) (*Prepared, error) {
	if err := r.check(a.Certificate); err != nil {
		return nil, err
	}
	template, err := a.citizenTemplate(r)
	if err != nil {
		return nil, fmt.Errorf("preparing a certificate: %w", err)
	}
	// The same issuer in every field but the key, which must match the one
	// that signs.
	issuer := *a.Certificate
	issuer.PublicKey = a.rehearsal.Public()
	der, err := x509.CreateCertificate(rand.Reader, template, &issuer, r.PublicKey, a.rehearsal)
	if err != nil {
		return nil, fmt.Errorf("rehearsing a certificate: %w", err)
	}
	if err := a.Lint(der); err != nil {
		return nil, fmt.Errorf("linting a certificate: %w", err)
	}
	rehearsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading a rehearsed certificate: %w", err)
	}
	if err := a.compare(rehearsed, r); err != nil {
		return nil, fmt.Errorf("comparing a certificate with its request: %w", err)
	}
	return &Prepared{authority: a, template: template, public: r.PublicKey, tbs: rehearsed.RawTBSCertificate}, nil
}

// Issue signs a prepared certificate, compares it with what was prepared and
// verifies it. Whatever comes of it, p is spent: a second use is ErrRedeemed.
func (a *Authority) Issue(p *Prepared) ([]byte, error) {
	if p.authority != a {
		return nil, fmt.Errorf("%w: prepared by another authority", ErrMismatch)
	}
	if !p.redeemed.CompareAndSwap(false, true) {
		return nil, ErrRedeemed
	}
	der, err := x509.CreateCertificate(rand.Reader, p.template, a.Certificate, p.public, a.Signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	issued, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading an issued certificate: %w", err)
	}
	if !bytes.Equal(issued.RawTBSCertificate, p.tbs) {
		return nil, ErrMismatch
	}
	if err := issued.CheckSignatureFrom(a.Certificate); err != nil {
		return nil, fmt.Errorf("verifying an issued certificate: %w", err)
	}
	return der, nil
}

func samePublic(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

// likeKey makes a key that signs with the same algorithm. An RSA key may be
// shorter: its length does not enter what is signed.
func likeKey(public crypto.PublicKey) (crypto.Signer, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		made, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("making a rehearsal key: %w", err)
		}
		return made, nil
	case *ecdsa.PublicKey:
		made, err := ecdsa.GenerateKey(key.Curve, rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making a rehearsal key: %w", err)
		}
		return made, nil
	default:
		return nil, fmt.Errorf("authority with a key of type %T", key)
	}
}
