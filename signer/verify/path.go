package verify

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"
	"time"
)

// What a path may be at most.
const (
	maxPath  = 10 // certificates
	maxPaths = 16 // tried for one certificate
	maxSteps = 500
)

// purpose is what a certificate has to be for.
type purpose int

const (
	forSignatures purpose = iota
	forStamps
)

// moment is the time to which a judgement refers.
type moment struct {
	at time.Time
	// proved is whether at is a proof of existence and not the time of
	// validation.
	proved bool
	// after is a time after which the signature is proved to have been made;
	// zero if nothing is.
	after time.Time
}

// verdict is what is found about a certificate.
type verdict struct {
	path       []*x509.Certificate // from the certificate up; the last one is an anchor if the path is whole
	whole      bool
	revocation []*Revocation // of path, as far as it was looked at
	// known is when the signature is known to have existed.
	known      time.Time
	conclusion *Conclusion
}

// judge is X.509 certificate validation (EN 319 102-1, 5.2.6) at the time of
// validation and, where that fails, at the time at which the signature is known
// to have existed (5.6.2.1, 5.6.2.2).
func (v *validation) judge(ctx context.Context, c *x509.Certificate, p purpose, m moment) verdict {
	paths, partial := v.pool.paths(c)
	if len(paths) == 0 {
		return verdict{path: partial, conclusion: indeterminate(NoCertificateChainFound,
			"no path leads from the certificate of %s to a trust anchor", name(c))}
	}
	moments := []moment{{at: v.now, after: m.after}}
	if m.proved {
		moments = append(moments, m)
	}
	var best verdict
	for _, m := range moments {
		for i, path := range paths {
			found := v.walk(ctx, path, p, m)
			found.known = moments[len(moments)-1].at
			if found.conclusion == nil {
				if m.proved || !v.early(c, moments) {
					return found
				}
				found.conclusion = notYet(c, moments[len(moments)-1])
				return found
			}
			// The last moment says most, and of its paths the first.
			if i == 0 || best.conclusion.Indication == Indeterminate && found.conclusion.SubIndication == TryLater {
				best = found
			}
		}
	}
	return best
}

// early is whether the signature existed before its certificate (EN 319 102-1,
// 5.5.4, step 5).
func (v *validation) early(c *x509.Certificate, moments []moment) bool {
	last := moments[len(moments)-1]
	return last.proved && last.at.Before(c.NotBefore)
}

func notYet(c *x509.Certificate, m moment) *Conclusion {
	return failed(NotYetValid, "the signature existed at %s, before the certificate of %s was valid (%s)",
		stamp(m.at), name(c), stamp(c.NotBefore))
}

// walk judges one path at one moment, from the anchor down. What is revoked
// later than the moment no longer vouches for what is not known to be older
// than the revocation: that is the sliding of EN 319 102-1, 5.6.2.2.
func (v *validation) walk(ctx context.Context, path []*x509.Certificate, p purpose, m moment) verdict {
	out := verdict{path: path, whole: true, revocation: make([]*Revocation, len(path))}
	if out.conclusion = fit(path[0], p); out.conclusion != nil {
		return out
	}
	if out.conclusion = v.pool.conforms(path); out.conclusion != nil {
		return out
	}
	var control time.Time // zero: none yet
	for i := len(path) - 2; i >= 0; i-- {
		c, issuer := path[i], path[i+1]
		known := v.pool.existed(c.Raw)
		if i == 0 && m.at.Before(known) {
			known = m.at // the signed attributes name the certificate by its digest
		}
		if why := v.algorithms.suite(hashIn(c.SignatureAlgorithm), issuer.PublicKey, known); why != "" {
			out.conclusion = indeterminate(CryptoConstraintsNoPOE, "certificate of %s: %s", name(c), why)
			return out
		}
		if !control.IsZero() && known.After(control) {
			out.conclusion = indeterminate(RevokedCANoPOE, "the authority of %s was revoked at %s, and nothing proves that the certificate is older", name(c), stamp(control))
			return out
		}
		r, trouble := v.revocation(ctx, c, issuer, m.at, control)
		out.revocation[i] = r
		if out.conclusion = v.bounds(c, i == 0, m, r); out.conclusion != nil {
			return out
		}
		if out.conclusion = v.standing(c, i == 0, m, r, trouble); out.conclusion != nil {
			return out
		}
		if r.Status == StatusRevoked && (control.IsZero() || r.RevokedAt.Before(control)) {
			control = r.RevokedAt
		}
	}
	return out
}

// bounds looks at the validity of a certificate.
func (v *validation) bounds(c *x509.Certificate, leaf bool, m moment, r *Revocation) *Conclusion {
	switch {
	case m.at.Before(c.NotBefore):
		if leaf && m.proved {
			return notYet(c, m)
		}
		return indeterminate(OutOfBoundsNoPOE, "the certificate of %s is not valid until %s", name(c), stamp(c.NotBefore))
	case !m.at.After(c.NotAfter):
		return nil
	case leaf && m.after.After(c.NotAfter):
		return failed(Expired, "the signature was made after %s, when the certificate of %s had expired at %s", stamp(m.after), name(c), stamp(c.NotAfter))
	case leaf && r != nil && r.Status == StatusGood:
		return indeterminate(OutOfBoundsNotRevoked, "the certificate of %s, which was not revoked, expired at %s, and nothing proves that the signature is older", name(c), stamp(c.NotAfter))
	default:
		return indeterminate(OutOfBoundsNoPOE, "the certificate of %s expired at %s, and nothing proves that the signature is older", name(c), stamp(c.NotAfter))
	}
}

// standing looks at the revocation of a certificate.
func (v *validation) standing(c *x509.Certificate, leaf bool, m moment, r *Revocation, trouble *Conclusion) *Conclusion {
	switch {
	case r == nil:
		return trouble
	case r.Status == StatusGood || r.RevokedAt.After(m.at):
		return nil
	case r.Status == StatusSuspended:
		return indeterminate(TryLater, "the certificate of %s is suspended since %s", name(c), stamp(r.RevokedAt))
	case !leaf:
		return indeterminate(RevokedCANoPOE, "the certificate of the authority %s was revoked at %s (%s), and nothing proves that the signature is older", name(c), stamp(r.RevokedAt), r.Reason)
	case !m.after.Before(r.RevokedAt) && !m.after.IsZero():
		return failed(Revoked, "the certificate of %s was revoked at %s (%s), and the signature was made after %s", name(c), stamp(r.RevokedAt), r.Reason, stamp(m.after))
	default:
		return indeterminate(RevokedNoPOE, "the certificate of %s was revoked at %s (%s), and nothing proves that the signature is older", name(c), stamp(r.RevokedAt), r.Reason)
	}
}

// paths are the ways from a certificate to an anchor; partial is the longest
// one found that does not get there.
func (p *pool) paths(c *x509.Certificate) (whole [][]*x509.Certificate, partial []*x509.Certificate) {
	steps := 0
	var climb func(path []*x509.Certificate)
	climb = func(path []*x509.Certificate) {
		if steps++; steps > maxSteps || len(whole) == maxPaths {
			return
		}
		top := path[len(path)-1]
		if p.isAnchor(top) {
			whole = append(whole, slices.Clone(path))
			return
		}
		if len(path) > len(partial) {
			partial = slices.Clone(path)
		}
		if len(path) == maxPath {
			return
		}
		for _, i := range p.issuers(top) {
			if !slices.ContainsFunc(path, i.Equal) {
				climb(append(path, i))
			}
		}
	}
	climb([]*x509.Certificate{c})
	return whole, partial
}

// conforms checks what RFC 5280, 6.1 asks of a path and does not depend on the
// time: basic constraints, key usage, lengths, names, policies, critical
// extensions. crypto/x509 is asked at a time at which all of it is valid.
func (p *pool) conforms(path []*x509.Certificate) *Conclusion {
	if len(path) == 1 {
		return nil
	}
	from, to := path[0].NotBefore, path[0].NotAfter
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for i, c := range path {
		if c.NotBefore.After(from) {
			from = c.NotBefore
		}
		if c.NotAfter.Before(to) {
			to = c.NotAfter
		}
		switch {
		case i == len(path)-1:
			roots.AddCert(c)
		case i > 0:
			between.AddCert(c)
		}
	}
	if to.Before(from) {
		return indeterminate(ChainGeneralFailure, "there is no time at which the whole path of %s is valid", name(path[0]))
	}
	_, err := path[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: from, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return indeterminate(ChainGeneralFailure, "path of %s: %v", name(path[0]), err)
	}
	return nil
}

// fit is whether the certificate is for what it was used for. A time-stamping
// unit's has the critical extended key usage id-kp-timeStamping and no other
// (RFC 3161, 2.3); a signer's is one for signatures (RFC 5280, 4.2.1.3).
func fit(c *x509.Certificate, p purpose) *Conclusion {
	const signs = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if c.KeyUsage != 0 && c.KeyUsage&signs == 0 {
		return indeterminate(ChainConstraintsFailure, "the key of %s is not for signatures", name(c))
	}
	if p != forStamps {
		return nil
	}
	critical := slices.ContainsFunc(c.Extensions, func(e pkixExtension) bool {
		return e.Critical && e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 37})
	})
	if !critical || len(c.UnknownExtKeyUsage) > 0 || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}) {
		return indeterminate(ChainConstraintsFailure, "the certificate of %s is not one for time-stamps alone", name(c))
	}
	return nil
}

// name is how a report names somebody.
func name(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return strings.ToValidUTF8(c.Subject.CommonName, "?")
	}
	return c.Subject.String()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
