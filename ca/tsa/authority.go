// Package tsa is the time-stamping authority: it answers the queries of RFC
// 3161, as RFC 5816 updates it, with tokens of the profile of ETSI EN 319 422.
//
// A stamp leaves only if the clock is trusted, if the authority's key may still
// be used, and after its signature has been verified. The package does no I/O:
// the key arrives as crypto.Signer, queries and responses are bytes.
package tsa

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Config names the parts of an Authority.
type Config struct {
	// Certificate and Signer are the time-stamping unit's.
	Certificate *x509.Certificate
	Signer      crypto.Signer
	// Chain is what stands above Certificate, the root not among them.
	Chain []*x509.Certificate
	// Policy is the time-stamp policy (ETSI EN 319 421, 5): the only one that
	// may be asked for, and the one of who asks for none.
	Policy asn1.ObjectIdentifier
	// Accuracy is what genTime may be away from UTC, in whole microseconds;
	// zero is one second, the most that EN 319 422, 5.2 lets it be.
	Accuracy time.Duration
	// Hashes are those that may be stamped; nil are SHA-256, SHA-384 and
	// SHA-512, and there are no others (ETSI TS 119 312).
	Hashes []crypto.Hash
	Now    func() time.Time
	// Trusted says whether Now tells the time; ca.Clock does. It is asked twice
	// for each stamp and should have its answer at hand.
	Trusted func(ctx context.Context) error
}

// Authority answers queries. It is safe for concurrent use as far as its Signer
// is. It does not change and keeps nothing between two answers: who has a new
// key or certificate for it makes another one and puts it in its place.
type Authority struct {
	config   Config
	hashes   map[crypto.Hash]asn1.ObjectIdentifier
	keyUse   period
	accuracy accuracy
	// Two of the three signed attributes are the same in each stamp.
	contentType, certificate cms.Attribute
}

// maxAccuracy is the least that EN 319 422, 5.2 asks for.
const maxAccuracy = time.Second

// signatureHash is what the signed attributes and the content are digested with.
const signatureHash = crypto.SHA256

// New checks that the parts fit together and makes an Authority.
func New(c Config) (*Authority, error) {
	if c.Accuracy == 0 {
		c.Accuracy = maxAccuracy
	}
	if c.Hashes == nil {
		c.Hashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	}
	if c.Now == nil || c.Trusted == nil {
		return nil, errors.New("time-stamping authority without a clock")
	}
	if c.Accuracy < time.Microsecond || c.Accuracy > maxAccuracy || c.Accuracy%time.Microsecond != 0 {
		return nil, fmt.Errorf("accuracy of %v is not one of whole microseconds up to a second", c.Accuracy)
	}
	if _, err := asn1.Marshal(c.Policy); err != nil {
		return nil, fmt.Errorf("encoding the time-stamp policy: %w", err)
	}
	if err := checkCertificate(c.Certificate, c.Signer); err != nil {
		return nil, err
	}
	a := &Authority{config: c, hashes: map[crypto.Hash]asn1.ObjectIdentifier{}, accuracy: newAccuracy(c.Accuracy)}
	for _, hash := range c.Hashes {
		oid, known := hashNames()[hash]
		if !known {
			return nil, fmt.Errorf("hash %v is not one to be stamped", hash)
		}
		a.hashes[hash] = oid
	}
	var err error
	if a.keyUse, err = usagePeriod(c.Certificate); err != nil {
		return nil, err
	}
	if a.contentType, err = cms.ContentTypeOf(cms.IDTSTInfo()); err != nil {
		return nil, fmt.Errorf("preparing content-type: %w", err)
	}
	// RFC 5816, 2.2.1: ESSCertIDv2 for every hash but SHA-1.
	if a.certificate, err = cms.SigningCertificateV2(c.Certificate); err != nil {
		return nil, fmt.Errorf("preparing signing-certificate-v2: %w", err)
	}
	return a, nil
}

// Certificate is the time-stamping unit's.
func (a *Authority) Certificate() *x509.Certificate { return a.config.Certificate }

// Answer answers the DER of a TimeStampReq with that of a TimeStampResp, also
// where it gives no stamp. The cause is for the operator: nil where a stamp was
// given, else a *FailureError, which knows whether the failure is the client's.
func (a *Authority) Answer(ctx context.Context, der []byte) ([]byte, error) {
	answer, refused := a.stamp(ctx, der)
	if refused == nil {
		return answer, nil
	}
	answer, err := refused.encode()
	return answer, errors.Join(refused, err)
}

func (a *Authority) stamp(ctx context.Context, der []byte) ([]byte, *FailureError) {
	q, refused := parseQuery(der)
	if refused != nil {
		return nil, refused
	}
	if _, refused := q.hash(a.hashes); refused != nil {
		return nil, refused
	}
	if len(q.Policy) > 0 && !q.Policy.Equal(a.config.Policy) {
		return nil, failure(UnacceptedPolicy, "the policy is not this authority's").because(errors.New(q.Policy.String()))
	}
	at, refused := a.time(ctx)
	if refused != nil {
		return nil, refused
	}
	token, err := a.token(q, at)
	if err != nil {
		return nil, failure(SystemFailure, "the stamp could not be made").because(err)
	}
	answer, err := encodeResponse(response{Status: statusInfo{Status: granted}, Token: asn1.RawValue{FullBytes: token}})
	if err != nil {
		return nil, failure(SystemFailure, "the stamp could not be made").because(err)
	}
	return answer, nil
}

// time is the time to be stamped. The clock is asked before it is read, so that
// the time is fresh even after a slow check, and after, so that it has not
// jumped in between.
func (a *Authority) time(ctx context.Context) (time.Time, *FailureError) {
	const untrusted = "the time is not available"
	if err := a.config.Trusted(ctx); err != nil {
		return time.Time{}, failure(TimeNotAvailable, untrusted).because(err)
	}
	at := a.config.Now().UTC()
	if err := a.config.Trusted(ctx); err != nil {
		return time.Time{}, failure(TimeNotAvailable, untrusted).because(err)
	}
	if err := usable(a.config.Certificate, a.keyUse, at); err != nil {
		return time.Time{}, failure(SystemFailure, "the authority gives no stamps at this time").because(err)
	}
	return at, nil
}
