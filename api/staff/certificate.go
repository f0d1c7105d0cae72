package staff

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
)

// CertificateOffered is whether a client certificate came with the connection.
// Whether it is believed is not said before somebody enters.
func (*Door) CertificateOffered(c echo.Context) bool {
	leaf, _ := presented(c.Request())
	return leaf != nil
}

// EnterByCertificate begins a session by the connection's client certificate
// (the kind's refusal).
func (d *Door) EnterByCertificate(c echo.Context) error {
	if err := d.admit(c); err != nil {
		return err
	}
	leaf, sum := presented(c.Request())
	if leaf == nil {
		return d.refuse(c, attempt{by: byCertificate, cause: causeMissing})
	}
	a := attempt{by: byCertificate, facts: map[string]any{"certificate_sha256": hex.EncodeToString(sum)}}
	var err error
	if a.account, err = d.Store.AccountByCertificate(c.Request().Context(), sum); err != nil && !d.unknown(err) {
		return fmt.Errorf("reading the account of a certificate: %w", err)
	}
	switch cause := d.doubt(c.Request()); {
	case err != nil:
		return d.refuse(c, a.because(causeUnknown))
	case a.account.Disabled():
		return d.refuse(c, a.because(causeDisabled))
	case cause != "":
		return d.refuse(c, a.because(cause))
	}
	return d.enter(c, a, sum)
}

// Certificate is the SHA-256 of a request's client certificate if it is one to
// be believed, nil otherwise. It is api.Config's.
func (d *Door) Certificate(r *http.Request) []byte {
	if _, sum := presented(r); d.doubt(r) == "" {
		return sum
	}
	return nil
}

// presented is the certificate whose key the other end of the connection has
// proved to hold (RFC 8446, section 4.4.3), with its SHA-256. It comes from the
// connection alone: no header of a proxy is believed about it.
func presented(r *http.Request) (leaf *x509.Certificate, sum []byte) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, nil
	}
	leaf = r.TLS.PeerCertificates[0]
	return leaf, Fingerprint(leaf)
}

// Fingerprint is the form in which a certificate is registered.
func Fingerprint(c *x509.Certificate) []byte {
	sum := sha256.Sum256(c.Raw)
	return sum[:]
}

// doubt is why the connection's certificate is not believed, empty if it is. The
// handshake leaves that to here: a certificate that it refuses ends the
// connection with an alert, which says in public what was wrong, cannot be
// recorded, and leaves no page to read.
func (d *Door) doubt(r *http.Request) string {
	leaf, _ := presented(r)
	if leaf == nil {
		return causeMissing
	}
	if d.Authorities == nil {
		return causeUntrusted
	}
	roots := d.Authorities()
	if roots == nil { // nil would mean those of the operating system
		return causeUntrusted
	}
	between := x509.NewCertPool()
	for _, c := range r.TLS.PeerCertificates[1:] {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: d.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err == nil {
		return d.revoked(r, chains[0])
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return causeExpired
	}
	return causeUntrusted
}

// revoked is why a verified path is not believed all the same. What nobody can
// tell is no better than what was revoked.
func (d *Door) revoked(r *http.Request, path []*x509.Certificate) string {
	if d.Revoked == nil {
		return ""
	}
	err := d.Revoked(r.Context(), path)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, policies.Refuse(policies.CertificateUntrusted)):
		return causeRevoked
	default:
		return causeUnclear
	}
}

// holds is whether a secret that is bound to a certificate comes with it.
func (d *Door) holds(r *http.Request, bound []byte) bool {
	return bound == nil || subtle.ConstantTimeCompare(d.Certificate(r), bound) == 1
}

// enter lets in whoever proved to be the attempt's account.
func (d *Door) enter(c echo.Context, a attempt, certificate []byte) error {
	if err := d.recordEntry(c.Request().Context(), a, c.RealIP()); err != nil {
		return err
	}
	return d.open(c, a.account, a.by, certificate)
}
