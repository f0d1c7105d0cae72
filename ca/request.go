package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Request is what a citizen's certificate is to say.
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

// ServiceRequest is what the certificate of an authority's service is to say:
// of an OCSP responder or of a time-stamping unit.
type ServiceRequest struct {
	Name      Name
	PublicKey crypto.PublicKey
	NotBefore time.Time
	// NotAfter is as late as the profile and the issuer allow if it is zero.
	NotAfter time.Time
	// CRL is as in Request. A responder's certificate names none: it is not
	// checked (RFC 6960, section 4.2.2.2.1).
	CRL string
}

// facts are what one certificate says, beside what its kind does.
type facts struct {
	kind      Kind
	issuer    *x509.Certificate // nil if it is its own
	subject   map[string]string // by attribute type
	public    crypto.PublicKey
	notBefore time.Time
	notAfter  time.Time
	policies  []asn1.ObjectIdentifier // the deployment's own
	addresses Addresses
	crl       string
	qc        *QcStatements
}

// citizen are the facts of a citizen's certificate.
func (a *Authority) citizen(r Request) (facts, error) {
	if !isIdentifier(r.Identifier) {
		return facts{}, fmt.Errorf("%w: the identifier is not canonical", ErrRequest)
	}
	f := facts{
		kind: citizenKind(), issuer: a.Certificate, public: r.PublicKey, notBefore: r.NotBefore, notAfter: r.NotAfter,
		policies: a.Profile.Policies, addresses: a.Addresses, crl: r.CRL, qc: a.Profile.QcStatements, subject: r.subject(),
	}
	for _, attribute := range f.kind.Subject {
		if attribute.OID == oidGivenName || attribute.OID == oidSurname {
			if err := checkName(attribute, f.subject[attribute.OID]); err != nil {
				return facts{}, err
			}
		}
	}
	return f, f.check()
}

// service are the facts of a service's certificate.
func (a *Authority) service(k Kind, r ServiceRequest) (facts, error) {
	f := facts{
		kind: k, issuer: a.Certificate, public: r.PublicKey, notBefore: r.NotBefore, notAfter: r.NotAfter,
		policies: a.Profile.Policies, addresses: a.Addresses, crl: r.CRL, subject: r.Name.subject(),
	}
	if f.notAfter.IsZero() {
		f.notAfter = k.longest(f.notBefore)
		if a.Certificate.NotAfter.Before(f.notAfter) {
			f.notAfter = a.Certificate.NotAfter
		}
	}
	return f, f.checkLegalPerson()
}

// longest is the last moment that a certificate of the kind may be valid at.
func (k Kind) longest(from time.Time) time.Time {
	return from.UTC().Truncate(time.Second).AddDate(k.Years, 0, k.Days)
}

func (f *facts) checkLegalPerson() error {
	if c := f.subject[oidCountry]; len(c) != 2 || strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("%w: country %q", ErrRequest, c)
	}
	if id := f.subject[oidOrganisationIdentifier]; id != "" && !isOrganisationIdentifier(id) {
		return fmt.Errorf("%w: organisation identifier %q is not in the form of EN 319 412-1", ErrRequest, id)
	}
	return f.check()
}

// check demands what holds for all kinds.
func (f *facts) check() error {
	f.notBefore, f.notAfter = f.notBefore.UTC().Truncate(time.Second), f.notAfter.UTC().Truncate(time.Second)
	switch {
	case !f.notBefore.Before(f.notAfter):
		return fmt.Errorf("%w: the validity is empty", ErrRequest)
	case f.notAfter.After(f.kind.longest(f.notBefore)):
		return fmt.Errorf("%w: the validity is longer than the profile's", ErrRequest)
	case f.issuer != nil && (f.notBefore.Before(f.issuer.NotBefore) || f.notAfter.After(f.issuer.NotAfter)):
		return fmt.Errorf("%w: the validity is not within the issuer's", ErrRequest)
	case f.kind.has(oidCRLPoints) && !isHTTP(f.crl):
		return fmt.Errorf("%w: %q is no http address of a list", ErrRequest, f.crl)
	case !f.kind.has(oidCRLPoints) && f.crl != "":
		return fmt.Errorf("%w: a list for a certificate that names none", ErrRequest)
	}
	if f.kind.has(oidAuthorityInfo) {
		if err := f.addresses.check(); err != nil {
			return fmt.Errorf("%w: %w", ErrRequest, err)
		}
	}
	for _, attribute := range f.kind.Subject {
		if err := checkText(attribute, f.subject[attribute.OID]); err != nil {
			return err
		}
	}
	return f.kind.checkKey(f.public)
}

func (k Kind) checkKey(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < k.RSA || key.E < 1<<16 {
			return fmt.Errorf("%w: RSA key of %d bits", ErrRequest, key.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if size := key.Curve.Params().BitSize; !slices.Contains([]int{256, 384}, size) {
			return fmt.Errorf("%w: curve of %d bits", ErrRequest, size)
		}
	default:
		return fmt.Errorf("%w: key of type %T", ErrRequest, key)
	}
	return nil
}

// keyEnd is when the private key is used for the last time: after the kind's
// years, or half of the validity where that is less, for what it signed must
// stay verifiable well beyond (ETSI EN 319 421, TIS-7.6.7-04).
func (f *facts) keyEnd() time.Time {
	end := f.notBefore.AddDate(f.kind.KeyYears, 0, 0)
	if half := f.notBefore.Add(f.notAfter.Sub(f.notBefore) / 2).Truncate(time.Second); half.Before(end) {
		return half
	}
	return end
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
