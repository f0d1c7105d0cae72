package ocsp

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxAnswer is the longest answer that is read. An ordinary one takes less than
// 2,000 octets with the responder's certificate.
const MaxAnswer = 64 << 10

// ErrAnswer is in every error about an answer that proves nothing about the
// certificate that was asked for.
var ErrAnswer = errors.New("not an answer to rely on")

// ProtocolError is an answer that has no more than OCSPResponseStatus (RFC
// 6960, section 4.2.1).
type ProtocolError struct{ Status int }

func (e *ProtocolError) Error() string {
	names := map[int]string{1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired", 6: "unauthorized"}
	return fmt.Sprintf("responder answers %d %s", e.Status, names[e.Status])
}

// Question is what a client asks: the status of one certificate.
type Question struct {
	Certificate, Issuer *x509.Certificate
	// Nonce has an answer made afresh, where the responder knows nonces.
	Nonce []byte
	// Trusted may answer, too, whoever certified them (RFC 6960, section 4.2.2.2:
	// a local configuration of signing authorities).
	Trusted []*x509.Certificate
}

// Marshal writes the request (RFC 5019, section 2.1.1: one certificate, SHA-1).
func (q Question) Marshal() ([]byte, error) {
	id, err := Issuer{Certificate: q.Issuer}.certID(q.Certificate.SerialNumber)
	if err != nil {
		return nil, err
	}
	return (&Request{Certificates: []CertID{id}, Nonce: q.Nonce}).Marshal()
}

// Verdict is what an answer proves about the certificate.
type Verdict struct {
	Status // but for Version
	// ProducedAt is when the answer was signed. NextUpdate is zero if there may
	// be news at any time.
	ProducedAt, ThisUpdate, NextUpdate time.Time
	// Responder is who signed: the question's Issuer, or its delegate, who may
	// stand in the answer alone. NoCheck spares looking for the delegate's own
	// revocation (RFC 6960, section 4.2.2.2.1).
	Responder *x509.Certificate
	NoCheck   bool
	// ArchiveCutoff is since when certificates are spoken of that have expired
	// (section 4.4.4); zero: of none.
	ArchiveCutoff time.Time
	// Echoed is whether the answer has the question's nonce. One with another
	// nonce is no answer; one without may have been made before.
	Echoed bool
}

// Check reads an answer (an OCSPResponse in DER) and says what it proves: that
// it names the certificate, that its issuer or a delegate of the issuer signed
// it (section 4.2.2.2), and that the delegate was valid then. Whether it is
// fresh enough, the caller knows.
func Check(answer []byte, q Question) (Verdict, error) {
	if len(answer) > MaxAnswer {
		return Verdict{}, unreliable("too long")
	}
	r, err := Read(answer)
	if err != nil {
		return Verdict{}, err
	}
	asked, nonce := len(q.Nonce) > 0, len(r.Nonce) > 0
	i := slices.IndexFunc(r.Singles, func(s SingleResponse) bool { return s.About(q.Certificate, q.Issuer) })
	switch {
	case i < 0:
		return Verdict{}, unreliable("it is about another certificate")
	case asked && nonce && !bytes.Equal(r.Nonce, q.Nonce):
		return Verdict{}, unreliable("the nonce is another's")
	case r.Algorithm == x509.SHA1WithRSA || r.Algorithm == x509.ECDSAWithSHA1:
		return Verdict{}, unreliable("it is signed by SHA-1")
	}
	responder, err := r.responder(q)
	if err != nil {
		return Verdict{}, err
	}
	if err := r.CheckSignature(responder); err != nil {
		return Verdict{}, fmt.Errorf("%w: signature: %w", ErrAnswer, err)
	}
	s := r.Singles[i]
	return Verdict{
		Status: s.Status, ProducedAt: r.ProducedAt, ThisUpdate: s.ThisUpdate, NextUpdate: s.NextUpdate, ArchiveCutoff: s.ArchiveCutoff,
		Responder: responder, Echoed: asked && nonce,
		NoCheck: responder.Equal(q.Issuer) || NoCheck(responder) || slices.ContainsFunc(q.Trusted, responder.Equal),
	}, nil
}

func unreliable(what string) error { return fmt.Errorf("%w: %s", ErrAnswer, what) }

// responder finds whoever is named: the issuer, one who is trusted anyway, or
// one whom the issuer itself has certified for the purpose and who was valid
// when the answer was made.
func (r *Response) responder(q Question) (*x509.Certificate, error) {
	issuer := q.Issuer
	if r.Names(issuer) {
		return issuer, nil
	}
	if i := slices.IndexFunc(q.Trusted, r.Names); i >= 0 {
		return q.Trusted[i], nil
	}
	why := unreliable("the responder's certificate is not in it")
	for _, c := range r.Certificates {
		if !r.Names(c) {
			continue
		}
		delegate := Issuer{Certificate: issuer, Responder: c}
		if err := delegate.fit(r.ProducedAt); err != nil {
			why = fmt.Errorf("%w: %w", ErrAnswer, err)
			continue
		}
		if err := c.CheckSignatureFrom(issuer); err != nil {
			why = fmt.Errorf("%w: responder: %w", ErrAnswer, err)
			continue
		}
		return c, nil
	}
	return nil, why
}
