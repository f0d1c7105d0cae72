package presenting

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// Why a certificate is not believed; the "reason" of policies.CertificateUntrusted.
const (
	reasonMissing   = "missing"   // none was shown
	reasonAuthority = "authority" // of none in the trust list
	reasonExpired   = "expired"
	reasonEarly     = "early" // not valid yet
	reasonUsage     = "usage" // for something else than to prove who one is
	reasonRevoked   = "revoked"
)

func untrusted(reason string) error {
	return policies.Refuse(policies.CertificateUntrusted, "reason", reason)
}

// found is a certificate of an authority of the list.
type found struct {
	authority *authority
	policy    string
	path      []*x509.Certificate // from the certificate to the anchor
}

// find judges all of a certificate but whom it names and whether it was revoked
// (policies.CertificateUntrusted). One issuer may stand in several entries: the
// certificate's policies tell which one it falls under.
func (t *TrustList) find(leaf *x509.Certificate, now time.Time) (found, error) {
	var known, fits bool
	for _, a := range t.authorities {
		issuer := a.issuer(leaf)
		if issuer == nil {
			continue
		}
		known = true
		policy, listed := a.policy(leaf)
		if !listed || !forAuthentication(leaf) {
			continue
		}
		fits = true
		if path := a.path(leaf, issuer, now); path != nil {
			return found{authority: a, policy: policy, path: path}, nil
		}
	}
	switch {
	case !known:
		return found{}, untrusted(reasonAuthority)
	case now.After(leaf.NotAfter):
		return found{}, untrusted(reasonExpired)
	case now.Before(leaf.NotBefore):
		return found{}, untrusted(reasonEarly)
	case !fits:
		return found{}, untrusted(reasonUsage)
	default:
		return found{}, untrusted(reasonAuthority) // its own chain does not hold
	}
}

// forAuthentication is whether the key may prove who is there (RFC 5280, sections
// 4.2.1.3 and 4.2.1.12). The DNI has a second certificate, for signatures alone;
// that for authentication has no extended key usage.
func forAuthentication(c *x509.Certificate) bool {
	anything := len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
	return !c.IsCA && c.KeyUsage&x509.KeyUsageDigitalSignature != 0 && anything
}

// path is the way to an anchor, judged as RFC 5280, section 6 asks, nil if there
// is none. Certificates that the other end sent along are not needed for it: the
// list has all that issue.
func (a *authority) path(leaf, issuer *x509.Certificate, now time.Time) []*x509.Certificate {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	between.AddCert(issuer)
	for _, root := range a.roots {
		roots.AddCert(root)
	}
	if len(a.roots) == 0 {
		roots.AddCert(issuer)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil
	}
	at := slices.IndexFunc(chains, func(chain []*x509.Certificate) bool { return len(chain) > 1 && chain[1].Equal(issuer) })
	if at < 0 {
		return nil
	}
	return chains[at]
}
