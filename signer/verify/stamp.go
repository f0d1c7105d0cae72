package verify

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// errToken is in every error about octets that are no TimeStampToken.
var errToken = errors.New("no readable time-stamp token")

// maxToken bounds a token, whose unsigned attributes may hold evidence.
const maxToken = 4 << 20

// token is a TimeStampToken (RFC 3161, 2.4.2), read and not yet believed.
type token struct {
	raw     []byte
	message *cms.Message
	signer  *cms.SignerInfo
	content []byte
	policy  asn1.ObjectIdentifier
	hash    crypto.Hash
	imprint []byte
	time    time.Time
}

func readToken(raw []byte) (*token, error) {
	if len(raw) > maxToken {
		return nil, fmt.Errorf("%w: %d octets", errToken, len(raw))
	}
	m, err := cms.Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errToken, err)
	}
	if !m.Attached() || !m.ContentType.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}) || len(m.Signers) != 1 {
		return nil, fmt.Errorf("%w: not one signature over a TSTInfo", errToken)
	}
	t := &token{raw: raw, message: m, signer: m.Signers[0]}
	if t.content, err = io.ReadAll(m.Content()); err != nil {
		return nil, fmt.Errorf("%w: %w", errToken, err)
	}
	return t, t.readInfo()
}

// readInfo reads TSTInfo. What comes after genTime does not matter here, but for
// extensions: one that is critical and not understood makes it unusable.
func (t *token) readInfo() error {
	var all, genTime asn1.RawValue
	if rest, err := asn1.Unmarshal(t.content, &all); err != nil || len(rest) > 0 {
		return fmt.Errorf("%w: TSTInfo", errToken)
	}
	var version int
	var serial *big.Int
	var imprint struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	rest := all.Bytes
	for _, field := range []any{&version, &t.policy, &imprint, &serial, &genTime} {
		var err error
		if rest, err = asn1.Unmarshal(rest, field); err != nil {
			return fmt.Errorf("%w: TSTInfo: %w", errToken, err)
		}
	}
	for len(rest) > 0 {
		var one asn1.RawValue
		var extensions []pkix.Extension
		var err error
		if rest, err = asn1.Unmarshal(rest, &one); err != nil {
			return fmt.Errorf("%w: TSTInfo: %w", errToken, err)
		}
		if one.Class != asn1.ClassContextSpecific || one.Tag != 1 {
			continue
		}
		_, err = asn1.UnmarshalWithParams(one.FullBytes, &extensions, "tag:1")
		if err != nil || slices.ContainsFunc(extensions, func(e pkix.Extension) bool { return e.Critical }) {
			return fmt.Errorf("%w: its extensions", errToken)
		}
	}
	t.hash, t.imprint = digestOf(imprint.Algorithm.Algorithm), imprint.Digest
	if version != 1 || t.hash == 0 || len(t.imprint) != t.hash.Size() {
		return fmt.Errorf("%w: version %d, imprint by %v", errToken, version, imprint.Algorithm.Algorithm)
	}
	// A fraction of a second may follow the layout's seconds.
	var err error
	t.time, err = time.Parse("20060102150405Z", string(genTime.Bytes))
	if err != nil || genTime.Class != asn1.ClassUniversal || genTime.Tag != asn1.TagGeneralizedTime {
		return fmt.Errorf("%w: genTime %q", errToken, genTime.Bytes)
	}
	return nil
}

// timeStamp validates a token (EN 319 102-1, 5.4) that should be over what
// matches says. Other time-stamps that were validated before may prove since when
// it exists.
func (v *validation) timeStamp(ctx context.Context, kind string, raw []byte, matches func(t *token) error) (*TimeStamp, verdict) {
	out := &TimeStamp{Kind: kind}
	t, err := readToken(raw)
	if err != nil {
		out.Conclusion = *failed(FormatFailure, "%v", err)
		return out, verdict{}
	}
	out.Time, out.Policy, out.Imprint = t.time, t.policy.String(), t.hash.String()
	v.pool.take(t.message)
	d := v.token(ctx, t, out, matches)
	out.Conclusion = d.conclusion.orPassed()
	out.Chain = v.chain(d)
	return out, d
}

// token goes through the building blocks.
func (v *validation) token(ctx context.Context, t *token, out *TimeStamp, matches func(t *token) error) verdict {
	if trouble := conforms(t.message, bytes.NewReader(t.raw)); trouble != nil {
		return verdict{conclusion: trouble}
	}
	if err := matches(t); err != nil {
		return verdict{conclusion: failed(HashFailure, "the time-stamp is of something else: %v", err)}
	}
	c, trouble := v.signedBy(t.signer, t.message.Certificates, digestBy(t.signer.Hash, t.content))
	if c == nil {
		return verdict{conclusion: trouble}
	}
	out.Authority, out.Algorithm = party(c), algorithmOf(t.signer, c)
	if trouble != nil {
		return verdict{path: []*x509.Certificate{c}, conclusion: trouble}
	}
	if !referred(t.signer) {
		return verdict{path: []*x509.Certificate{c}, conclusion: failed(FormatFailure, "the time-stamp does not name its certificate by digest (RFC 3161, 2.4.2)")}
	}
	known := v.pool.existed(t.raw)
	d := v.judge(ctx, c, forStamps, moment{at: known, proved: known.Before(v.now)})
	switch {
	case d.conclusion != nil:
	case t.time.After(v.now):
		d.conclusion = indeterminate(TimestampOrderFailure, "the time-stamp is of %s, after the time of validation", stamp(t.time))
	case t.time.After(known.Add(slack)):
		d.conclusion = indeterminate(TimestampOrderFailure, "the time-stamp is of %s, later than the one over it, of %s", stamp(t.time), stamp(known))
	case t.time.Before(c.NotBefore) || t.time.After(c.NotAfter):
		d.conclusion = indeterminate(ChainConstraintsFailure, "the time-stamp is of %s, when the certificate of %s was not valid", stamp(t.time), name(c))
	default:
		d.conclusion = v.suite(t.signer.Hash, c, known)
	}
	if d.conclusion == nil {
		if why := v.algorithms.digest(t.hash, known); why != "" {
			d.conclusion = indeterminate(CryptoConstraintsNoPOE, "imprint of the time-stamp: %s", why)
		}
	}
	return d
}

// slack is what two time-stamping authorities may be apart: EN 319 422, 5.2 has
// them right to the second.
const slack = time.Second

func digestBy(h crypto.Hash, data []byte) []byte {
	if h == 0 {
		return nil
	}
	return digest(h, data)
}

// suite is whether digest and key of a signature could be relied on when it is
// known to have existed.
func (v *validation) suite(h crypto.Hash, c *x509.Certificate, known time.Time) *Conclusion {
	if why := v.algorithms.suite(h, c.PublicKey, known); why != "" {
		return indeterminate(CryptoConstraintsNoPOE, "signature of %s: %s", name(c), why)
	}
	return nil
}
