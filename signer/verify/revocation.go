package verify

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strconv"
	"time"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

type pkixExtension = pkix.Extension

// Status is what is known of a certificate.
type Status string

// The statuses of a certificate.
const (
	StatusGood      Status = "good"
	StatusRevoked   Status = "revoked"
	StatusSuspended Status = "suspended"
)

// Revocation is what is known of a certificate, and from where.
type Revocation struct {
	Status    Status    `json:"status"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	Reason    string    `json:"reason,omitempty"` // of RFC 5280, 5.3.1
	// Source is ocsp, crl, or validity-assured for a certificate too short-lived
	// to be revoked; Origin is document, given or fetched.
	Source     string    `json:"source"`
	Origin     string    `json:"origin"`
	Signer     string    `json:"signer"` // the responder's or the list's
	ProducedAt time.Time `json:"produced_at"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update,omitzero"`

	raw []byte
}

// fresh is the revocation freshness check (EN 319 102-1, 5.2.5.4) at a time.
func (r *Revocation) fresh(at time.Time, longest time.Duration) bool {
	if !r.ThisUpdate.Before(at) {
		return true
	}
	if longest > 0 {
		return r.ThisUpdate.After(at.Add(-longest))
	}
	return at.Before(r.NextUpdate)
}

// revocation is what is known about a certificate at a time, or why nothing is.
// With a control time it is only believed what is proved to be older.
func (v *validation) revocation(ctx context.Context, c, issuer *x509.Certificate, at, control time.Time) (*Revocation, *Conclusion) {
	if cades.ShortLived(c) {
		return &Revocation{Status: StatusGood, Source: "validity-assured", Origin: string(v.pool.originOf(c.Raw)), Signer: name(issuer), ProducedAt: c.NotBefore, ThisUpdate: c.NotBefore, raw: c.Raw}, nil
	}
	r, trouble := v.known(c, issuer, at, control)
	if trouble == nil || v.fetch == nil || v.asked[string(c.Raw)] {
		return r, trouble
	}
	v.asked[string(c.Raw)] = true
	e, err := v.fetch.Revocation(ctx, c, issuer)
	if err != nil {
		trouble.Reason += "; asking for it: " + err.Error()
		return r, trouble
	}
	v.pool.add(e, fetched)
	return v.known(c, issuer, at, control)
}

func (v *validation) known(c, issuer *x509.Certificate, at, control time.Time) (*Revocation, *Conclusion) {
	all, trouble := v.believed(c, issuer, true)
	if trouble == nil {
		trouble = indeterminate(TryLater, "nothing is known about the revocation of the certificate of %s", name(c))
	}
	if !control.IsZero() {
		all = slices.DeleteFunc(all, func(r *Revocation) bool { return v.pool.existed(r.raw).After(control) })
		trouble = indeterminate(RevokedCANoPOE, "the authority of %s was revoked at %s, and nothing proves that what it says is older", name(c), stamp(control))
	}
	// Of a certificate that was once revoked nothing else is believed; of one
	// that was suspended, the latest word.
	for _, r := range all {
		if r.Status == StatusRevoked {
			return r, nil
		}
	}
	slices.SortStableFunc(all, func(a, b *Revocation) int { return b.ThisUpdate.Compare(a.ThisUpdate) })
	for _, r := range all {
		if r.Status == StatusSuspended || r.fresh(at, v.freshness) {
			return r, nil
		}
		trouble = indeterminate(TryLater, "what is known about the revocation of the certificate of %s, of %s, is too old", name(c), stamp(all[0].ThisUpdate))
	}
	return nil, trouble
}

// believed are answers and lists about a certificate whose signatures are
// right. The conclusion tells of some that are too late to be believed.
func (v *validation) believed(c, issuer *x509.Certificate, answers bool) ([]*Revocation, *Conclusion) {
	var all []*Revocation
	var trouble *Conclusion
	if answers {
		for _, a := range v.pool.answers[c.SerialNumber.String()] {
			r, why := v.answered(a, c, issuer)
			if r != nil {
				all = append(all, r)
			}
			if why != nil {
				trouble = why
			}
		}
	}
	for _, l := range v.pool.lists[string(c.RawIssuer)] {
		r, why := v.listed(l, c, issuer)
		if r != nil {
			all = append(all, r)
		}
		if why != nil {
			trouble = why
		}
	}
	return all, trouble
}

// answered is what an OCSP answer says of a certificate (RFC 6960, 3.2).
func (v *validation) answered(a *ocsp.Response, c, issuer *x509.Certificate) (*Revocation, *Conclusion) {
	i := slices.IndexFunc(a.Singles, func(s ocsp.SingleResponse) bool { return s.State != ocsp.Unknown && s.About(c, issuer) })
	if i < 0 {
		return nil, nil
	}
	signer := v.pool.signerOf(a, issuer)
	if signer == nil || !v.mayAnswer(signer, a, issuer) {
		return nil, nil
	}
	s := a.Singles[i]
	if s.ThisUpdate.After(c.NotAfter) && s.State == ocsp.Good && (s.ArchiveCutoff.IsZero() || s.ArchiveCutoff.After(c.NotAfter)) {
		return nil, nil // nothing is kept of what has expired (RFC 6960, 4.4.4)
	}
	r := &Revocation{
		Status: StatusGood, Source: "ocsp", Origin: string(v.pool.originOf(a.Raw)), Signer: name(signer),
		ProducedAt: a.ProducedAt, ThisUpdate: s.ThisUpdate, NextUpdate: s.NextUpdate, raw: a.Raw,
	}
	if s.State == ocsp.Revoked {
		r.revoke(s.RevokedAt, s.Reason)
	}
	if why := v.late(a.Raw, a.ProducedAt, signer, hashIn(a.Algorithm)); why != nil {
		return nil, why
	}
	return r, nil
}

// mayAnswer is whether a responder is the authority or one that it delegated,
// and is not revoked itself (RFC 6960, 4.2.2.2).
func (v *validation) mayAnswer(signer *x509.Certificate, a *ocsp.Response, issuer *x509.Certificate) bool {
	if signer.Equal(issuer) {
		return true
	}
	if !bytes.Equal(signer.RawIssuer, issuer.RawSubject) || v.pool.check(signer, issuer) != nil ||
		!slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) ||
		signer.KeyUsage != 0 && signer.KeyUsage&x509.KeyUsageDigitalSignature == 0 ||
		a.ProducedAt.Before(signer.NotBefore) || a.ProducedAt.After(signer.NotAfter) {
		return false
	}
	if ocsp.NoCheck(signer) {
		return true
	}
	lists, _ := v.believed(signer, issuer, false)
	return len(lists) > 0 && !slices.ContainsFunc(lists, func(r *Revocation) bool { return r.Status != StatusGood }) &&
		slices.ContainsFunc(lists, func(r *Revocation) bool { return r.fresh(a.ProducedAt, v.freshness) })
}

// listed is what a list says of a certificate (RFC 5280, 6.3.3).
func (v *validation) listed(l *cades.List, c, issuer *x509.Certificate) (*Revocation, *Conclusion) {
	if !l.Covers(c) || issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCRLSign == 0 ||
		v.pool.checkList(l, issuer) != nil {
		return nil, nil
	}
	e, revoked, err := l.Entry(c)
	if err != nil {
		return nil, nil // it says nothing that can be understood
	}
	if !revoked && l.ThisUpdate.After(c.NotAfter) && !l.KeepsExpired(c) {
		return nil, nil
	}
	r := &Revocation{
		Status: StatusGood, Source: "crl", Origin: string(v.pool.originOf(l.Raw)), Signer: name(issuer),
		ProducedAt: l.ThisUpdate, ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate, raw: l.Raw,
	}
	if revoked {
		r.revoke(e.RevocationTime, e.ReasonCode)
	}
	if why := v.late(l.Raw, l.ThisUpdate, issuer, hashIn(l.SignatureAlgorithm)); why != nil {
		return nil, why
	}
	return r, nil
}

// late says why an answer or a list is not to be believed by its own proof of
// existence: its signer's certificate had expired by then, or its algorithms
// had.
func (v *validation) late(raw []byte, produced time.Time, signer *x509.Certificate, h crypto.Hash) *Conclusion {
	known := v.pool.existed(raw)
	if produced.After(known) {
		known = produced // validation at an earlier time, with what came to be known later
	}
	if known.After(signer.NotAfter) && !v.pool.isAnchor(signer) {
		return indeterminate(RevocationOutOfBoundsNoPOE, "the certificate of %s, who says so, expired at %s, and nothing proves that the word of %s is older", name(signer), stamp(signer.NotAfter), stamp(produced))
	}
	if why := v.algorithms.suite(h, signer.PublicKey, known); why != "" {
		return indeterminate(CryptoConstraintsNoPOE, "word of %s about revocation: %s", name(signer), why)
	}
	return nil
}

func (r *Revocation) revoke(at time.Time, reason int) {
	const onHold = 6
	r.Status, r.RevokedAt, r.Reason = StatusRevoked, at, reasonName(reason)
	if reason == onHold {
		r.Status = StatusSuspended
	}
}

// reasonName is CRLReason as RFC 5280, 5.3.1 spells it.
func reasonName(reason int) string {
	names := []string{
		"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
		"certificateHold", "7", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
	}
	if reason < 0 || reason >= len(names) {
		return strconv.Itoa(reason)
	}
	return names[reason]
}
