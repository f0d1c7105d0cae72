package verify

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// signed is one signature as a container holds it.
type signed struct {
	report  *Signature
	message *cms.Message
	index   int
	// format is what the container finds wrong with it.
	format *Conclusion
	// digests are those of the content by the hashes that signers name; none
	// where the content is missing.
	digests map[crypto.Hash][]byte
	// check recomputes what a time-stamp inside is over.
	check func(t *cades.TimeStamp) error
	// after is a time after which it is proved to have been made.
	after time.Time
	// sealed is whether the container has time-stamps over all of it, whose
	// proofs of existence are then in the pool.
	sealed bool
}

// validate is the process of EN 319 102-1, 5.3, 5.5 and 5.6: the building
// blocks in their order, with the proofs of existence that there are. All time-stamps
// are looked at, whatever the signature comes to.
func (v *validation) validate(ctx context.Context, s *signed) {
	out, si := s.report, s.message.Signers[s.index]
	out.describe(si)
	v.pool.take(s.message)
	c, trouble := v.signedBy(si, s.message.Certificates, s.digests[si.Hash])
	if c != nil {
		out.Signer, out.Algorithm = party(c), algorithmOf(si, c)
	}
	stamps := v.stamps(ctx, s)
	known := v.pool.existed(si.Signature)
	out.BestTime, out.Proved = known, known.Before(v.now)
	d := verdict{conclusion: trouble}
	if c != nil {
		d = v.judge(ctx, c, forSignatures, moment{at: known, proved: out.Proved, after: s.after})
		out.Chain = v.chain(d)
	}
	out.Conclusion = first(
		s.format,
		trouble,
		v.counterSigned(ctx, s),
		d.conclusion,
		v.reliable(si, c, known),
		stamps.trouble,
	).orPassed()
	if !si.NamesCertificate() {
		out.Warnings = append(out.Warnings, "the signer's certificate is not named by digest: not a baseline signature")
	}
	if out.Proved && out.ClaimedTime.After(known.Add(slack)) {
		out.Warnings = append(out.Warnings, "the claimed time is later than the time-stamp")
	}
	out.Level = v.level(s, c, d, stamps)
}

// first is the first conclusion that is not nil, unless a later one is worse.
func first(all ...*Conclusion) *Conclusion {
	var found *Conclusion
	for _, c := range all {
		if c != nil && (found == nil || found.Indication == Indeterminate && c.Indication == Failed) {
			found = c
		}
	}
	return found
}

// signedBy are the identification of the signing certificate (EN 319 102-1,
// 5.2.3) and the cryptographic verification (5.2.7). The certificate may be known
// even if something is wrong.
func (v *validation) signedBy(s *cms.SignerInfo, certificates []*x509.Certificate, digest []byte) (*x509.Certificate, *Conclusion) {
	c := s.Certificate(slices.Concat(certificates, v.pool.all))
	if c == nil {
		return nil, indeterminate(NoSigningCertificateFound, "the signer's certificate is not there")
	}
	if digest == nil && s.Hash != 0 {
		return c, indeterminate(SignedDataNotFound, "the signed content is not there")
	}
	err := s.Verify(c, digest)
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, cms.ErrDigest):
		return c, failed(HashFailure, "the document is not the one that was signed: %v", err)
	case errors.Is(err, cms.ErrCertificate):
		return c, indeterminate(NoSigningCertificateFound, "%v", err)
	case errors.Is(err, cms.ErrMalformed):
		return c, failed(FormatFailure, "%v", err)
	case errors.Is(err, cms.ErrUnsupported):
		return c, indeterminate(CryptoConstraintsFailure, "%v", err)
	default:
		return c, failed(SigCryptoFailure, "%v", err)
	}
}

// reliable is the cryptographic part of signature acceptance (EN 319 102-1,
// 5.2.8.4).
func (v *validation) reliable(s *cms.SignerInfo, c *x509.Certificate, known time.Time) *Conclusion {
	if c == nil || s.Hash == 0 {
		return nil
	}
	return v.suite(s.Hash, c, known)
}

// stamped are the time-stamps inside a signature that were validated.
type stamped struct {
	signature, archive []verdict // of those that passed
	trouble            *Conclusion
}

// stamps validates the time-stamps inside a signature, the newest first: what
// the newer ones prove helps the older ones (EN 319 102-1, 5.6.3.4).
func (v *validation) stamps(ctx context.Context, s *signed) stamped {
	var found stamped
	all, err := cades.TimeStamps(s.message, s.index)
	if err != nil {
		found.trouble = failed(FormatFailure, "%v", err)
		return found
	}
	si := s.message.Signers[s.index]
	slices.Reverse(all)
	var earliest time.Time // of those over the signature value
	for _, t := range all {
		out, d := v.timeStamp(ctx, string(t.Kind), t.Token, func(*cms.Token) error { return s.check(t) })
		s.report.TimeStamps = append(s.report.TimeStamps, out)
		switch {
		case out.Indication == Failed:
			found.trouble = first(found.trouble, indeterminate(SigConstraintsFailure, "a %s is not right: %s", t.Kind, out.Reason))
			continue
		case out.SubIndication == TimestampOrderFailure:
			found.trouble = first(found.trouble, &out.Conclusion)
			continue
		case out.Indication != Passed:
			continue
		}
		d.known = out.Time // what has to be documented is how things stood when it was made
		switch t.Kind {
		case cades.SignatureTimeStamp:
			found.signature = append(found.signature, d)
			v.pool.prove(si.Signature, out.Time)
		case cades.ArchiveTimeStamp:
			found.archive = append(found.archive, d)
			v.pool.prove(si.Signature, out.Time)
			v.pool.proveCovered(s.message, all, t, out.Time)
		default: // content-time-stamp
			if out.Time.After(s.after) {
				s.after = out.Time
			}
			if !earliest.IsZero() && out.Time.After(earliest.Add(slack)) {
				found.trouble = first(found.trouble, indeterminate(TimestampOrderFailure, "the content-time-stamp, of %s, is later than a time-stamp of the signature, of %s", stamp(out.Time), stamp(earliest)))
			}
			continue
		}
		if earliest.IsZero() || out.Time.Before(earliest) {
			earliest = out.Time
		}
	}
	slices.Reverse(s.report.TimeStamps)
	return found
}

// proveCovered records what an archive time-stamp that was validated is over.
func (p *pool) proveCovered(m *cms.Message, stamps []*cades.TimeStamp, archive *cades.TimeStamp, at time.Time) {
	for _, raw := range m.RawCertificates() {
		if archive.Covers(raw) {
			p.prove(raw, at)
		}
	}
	for _, raw := range m.RawRevocations() {
		if archive.Covers(raw) {
			p.prove(raw, at)
			p.prove(cms.OCSPIn(raw), at)
		}
	}
	for _, t := range stamps {
		if t != archive && archive.Covers(t.Token) {
			p.prove(t.Token, at)
		}
	}
}

// counterSigned validates the signatures over this one's value.
func (v *validation) counterSigned(ctx context.Context, s *signed) *Conclusion {
	si := s.message.Signers[s.index]
	counters, err := si.CounterSignatures()
	if err != nil {
		return failed(FormatFailure, "counter-signature: %v", err)
	}
	var trouble *Conclusion
	for i, counter := range counters {
		out := &Signature{Number: i + 1, Format: "counter-signature", BestTime: v.now}
		out.describe(counter)
		c, wrong := v.signedBy(counter, s.message.Certificates, counter.HashOf(si.Signature))
		d := verdict{conclusion: wrong}
		if c != nil {
			out.Signer, out.Algorithm = party(c), algorithmOf(counter, c)
			d = v.judge(ctx, c, forSignatures, moment{at: v.now})
			out.Chain = v.chain(d)
		}
		out.Conclusion = first(wrong, d.conclusion, v.reliable(counter, c, v.now)).orPassed()
		if out.Indication == Failed {
			trouble = first(trouble, indeterminate(SigConstraintsFailure, "a counter-signature is not right: %s", out.Reason))
		}
		s.report.CounterSignatures = append(s.report.CounterSignatures, out)
	}
	return trouble
}

// level is the highest baseline level whose evidence was found good. The chain
// and its revocation may be looked up elsewhere for the conclusion; for the level
// they have to stand in the document.
func (v *validation) level(s *signed, c *x509.Certificate, d verdict, stamps stamped) cades.Level {
	si := s.message.Signers[s.index]
	if c == nil || s.report.Indication == Failed || !si.NamesCertificate() {
		return ""
	}
	if len(stamps.signature)+len(stamps.archive) == 0 && !s.sealed {
		return cades.BB
	}
	documented, sealed := true, s.sealed || len(stamps.archive) > 0
	for _, e := range append(slices.Clone(stamps.signature), d) {
		there, proved := v.documented(e)
		documented, sealed = documented && there, sealed && proved
	}
	switch {
	case !documented:
		return cades.BT
	case !sealed:
		return cades.BLT
	default:
		return cades.BLTA
	}
}

// documented is whether a path and what was known of its revocation when the
// signature is known to have existed stand in the document, and whether they are
// proved to be older than this validation.
func (v *validation) documented(d verdict) (there, proved bool) {
	if !d.whole {
		return false, false
	}
	proved = true
	for i, c := range d.path[:len(d.path)-1] {
		if v.pool.originOf(c.Raw) != inDocument {
			return false, false
		}
		if cades.ShortLived(c) {
			continue
		}
		all, _ := v.believed(c, d.path[i+1], true)
		all = slices.DeleteFunc(all, func(r *Revocation) bool {
			return r.Origin != string(inDocument) || r.Status == StatusGood && !r.fresh(d.known, v.freshness)
		})
		if len(all) == 0 {
			return false, false
		}
		proved = proved && slices.ContainsFunc(all, func(r *Revocation) bool { return v.pool.existed(r.raw).Before(v.now) })
	}
	return true, proved
}

// coherent is the format check (EN 319 102-1, 5.2.2) of what no signature covers.
func coherent(m *cms.Message) *Conclusion {
	if err := m.Coherent(); err != nil {
		return failed(FormatFailure, "%v", err)
	}
	return nil
}

func algorithmOf(s *cms.SignerInfo, c *x509.Certificate) Algorithm {
	kind, bits := sizeOf(c.PublicKey)
	a := Algorithm{Scheme: string(s.Scheme), Key: kind, Bits: bits}
	if s.Hash != 0 {
		a.Digest = s.Hash.String()
	}
	return a
}

// describe tells what the signer claims.
func (s *Signature) describe(si *cms.SignerInfo) {
	if t, ok := si.SigningTime(); ok && s.ClaimedTime.IsZero() {
		s.ClaimedTime = t
	}
	var policy struct {
		ID   asn1.ObjectIdentifier
		Hash asn1.RawValue   `asn1:"optional"`
		More []asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(si.Attribute(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 15}), &policy); err == nil {
		s.Policy = policy.ID.String()
	}
	var commitment struct {
		ID   asn1.ObjectIdentifier
		More []asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(si.Attribute(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 16}), &commitment); err == nil {
		s.Commitment = commitment.ID.String()
	}
}

// take makes known what a message brings with it.
func (p *pool) take(m *cms.Message) {
	p.add(cades.EvidenceOf(m), inDocument)
	if len(m.RawCertificates()) == len(m.Certificates) {
		return
	}
	for _, raw := range m.RawCertificates() {
		if _, err := x509.ParseCertificate(raw); err != nil && !slices.Contains(otherCertificates(), raw[0]) {
			p.odd = append(p.odd, raw)
		}
	}
}

// otherCertificates are the identifiers of CertificateChoices that are no
// certificates of X.509 public keys, and of no use here (RFC 5652, 10.2.2).
func otherCertificates() []byte { return []byte{0xa0, 0xa1, 0xa2, 0xa3} }
