package verify

import (
	"context"
	"crypto"
	"crypto/x509"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// timeStamp validates a token (EN 319 102-1, 5.4) that should be over what
// matches says. Other time-stamps that were validated before may prove since when
// it exists.
func (v *validation) timeStamp(ctx context.Context, kind string, raw []byte, matches func(t *cms.Token) error) (*TimeStamp, verdict) {
	out := &TimeStamp{Kind: kind}
	t, err := readToken(raw)
	if err != nil {
		out.Conclusion = *failed(FormatFailure, "%v", err)
		return out, verdict{}
	}
	out.Time, out.Policy, out.Imprint = t.Time, t.Policy.String(), t.Hash.String()
	v.pool.take(t.Message)
	d := v.token(ctx, t, out, matches)
	out.Conclusion = d.conclusion.orPassed()
	out.Chain = v.chain(d)
	return out, d
}

// token goes through the building blocks.
func (v *validation) token(ctx context.Context, t *cms.Token, out *TimeStamp, matches func(t *cms.Token) error) verdict {
	if trouble := coherent(t.Message); trouble != nil {
		return verdict{conclusion: trouble}
	}
	if err := matches(t); err != nil {
		return verdict{conclusion: failed(HashFailure, "the time-stamp is of something else: %v", err)}
	}
	c, trouble := v.signedBy(t.Signer, t.Message.Certificates, t.Signer.HashOf(t.Content))
	if c == nil {
		return verdict{conclusion: trouble}
	}
	out.Authority, out.Algorithm = party(c), algorithmOf(t.Signer, c)
	if trouble != nil {
		return verdict{path: []*x509.Certificate{c}, conclusion: trouble}
	}
	if !t.Signer.NamesCertificate() {
		return verdict{path: []*x509.Certificate{c}, conclusion: failed(FormatFailure, "the time-stamp does not name its certificate by digest (RFC 3161, 2.4.2)")}
	}
	known := v.pool.existed(t.Raw)
	d := v.judge(ctx, c, forStamps, moment{at: known, proved: known.Before(v.now)})
	switch {
	case d.conclusion != nil:
	case t.Time.After(v.now):
		d.conclusion = indeterminate(TimestampOrderFailure, "the time-stamp is of %s, after the time of validation", stamp(t.Time))
	case t.Time.After(known.Add(slack)):
		d.conclusion = indeterminate(TimestampOrderFailure, "the time-stamp is of %s, later than the one over it, of %s", stamp(t.Time), stamp(known))
	case t.Time.Before(c.NotBefore) || t.Time.After(c.NotAfter):
		d.conclusion = indeterminate(ChainConstraintsFailure, "the time-stamp is of %s, when the certificate of %s was not valid", stamp(t.Time), name(c))
	default:
		d.conclusion = v.suite(t.Signer.Hash, c, known)
	}
	if d.conclusion == nil {
		if why := v.algorithms.digest(t.Hash, known); why != "" {
			d.conclusion = indeterminate(CryptoConstraintsNoPOE, "imprint of the time-stamp: %s", why)
		}
	}
	return d
}

// slack is what two time-stamping authorities may be apart: EN 319 422, 5.2 has
// them right to the second.
const slack = time.Second

// suite is whether digest and key of a signature could be relied on when it is
// known to have existed.
func (v *validation) suite(h crypto.Hash, c *x509.Certificate, known time.Time) *Conclusion {
	if why := v.algorithms.suite(h, c.PublicKey, known); why != "" {
		return indeterminate(CryptoConstraintsNoPOE, "signature of %s: %s", name(c), why)
	}
	return nil
}
