package tsa

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// MaxResponse is the longest response that is read. An ordinary one takes 6,000
// octets with three certificates of RSA-4096.
const MaxResponse = 64 << 10

// ErrToken is in every error about a time-stamp that proves nothing, or not what
// was asked for.
var ErrToken = errors.New("not a time-stamp to rely on")

func unreliable(what string) error { return fmt.Errorf("%w: %s", ErrToken, what) }

// Request is what a client asks: a stamp for a digest.
type Request struct {
	Hash   crypto.Hash
	Digest []byte
	Policy asn1.ObjectIdentifier // nil leaves the choice to the authority
	Nonce  *big.Int
}

// NewRequest asks with a nonce of 64 random bits (RFC 3161, 2.4.1).
func NewRequest(hash crypto.Hash, digest []byte) Request {
	var nonce [8]byte
	rand.Read(nonce[:])
	return Request{Hash: hash, Digest: digest, Nonce: new(big.Int).SetBytes(nonce[:])}
}

// Marshal writes the TimeStampReq. It always asks for the certificates, which
// whoever checks the stamp years later needs.
func (r Request) Marshal() ([]byte, error) {
	oid, known := hashNames()[r.Hash]
	if !known || len(r.Digest) != r.Hash.Size() {
		return nil, fmt.Errorf("asking for a time-stamp: a digest of %d octets for %v", len(r.Digest), r.Hash)
	}
	der, err := asn1.Marshal(query{
		Version:        1,
		MessageImprint: messageImprint{pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.NullRawValue}, r.Digest},
		Policy:         r.Policy,
		Nonce:          r.Nonce,
		CertReq:        true,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a TimeStampReq: %w", err)
	}
	return der, nil
}

// Token takes the TimeStampToken out of a TimeStampResp. Where there is none,
// the error holds a *FailureError with what the authority says.
func Token(der []byte) ([]byte, error) {
	if len(der) > MaxResponse {
		return nil, unreliable("the response is too long")
	}
	var r response
	if rest, err := asn1.Unmarshal(der, &r); err != nil || len(rest) > 0 {
		return nil, unreliable("not a TimeStampResp")
	}
	if r.Status.Status != granted && r.Status.Status != grantedWithMods {
		return nil, fmt.Errorf("%w: %w", ErrToken, r.Status.failure())
	}
	if len(r.Token.FullBytes) == 0 {
		return nil, unreliable("it was granted, and is absent")
	}
	return r.Token.FullBytes, nil
}

// grantedWithMods is the other PKIStatus with a token: what was changed, Check
// finds out.
const grantedWithMods = 1

// failure is what the status says to whoever got no token.
func (s statusInfo) failure() *FailureError {
	f := failure(-1, fmt.Sprintf("status %d", s.Status))
	for bit := range s.FailInfo.BitLength {
		if s.FailInfo.At(bit) == 1 {
			f.Info = FailInfo(bit)
			break
		}
	}
	for _, text := range s.StatusString {
		f.Reason += fmt.Sprintf(" %.200q", text.Bytes)
	}
	return f
}

// Expected is what a stamp is checked for.
type Expected struct {
	Request
	// Policies are those of which the stamp's has to be one; none lets it be any.
	Policies []asn1.ObjectIdentifier
	// Anchors are whom the chain has to reach, Others what may stand between, if
	// the token does not hold it.
	Anchors, Others []*x509.Certificate
	// Now is when the stamp was received: the certificates have to be valid then,
	// and its time may be no further away than Drift.
	Now   time.Time
	Drift time.Duration
}

// Check says whether a token is the one that was asked for, new, and made by an
// authority that is trusted: imprint, nonce and policy (RFC 3161, 2.2), time,
// certificate with its critical extended key usage (2.3), chain, signature, and
// the certificate that the signed attributes name (RFC 5816).
func Check(token []byte, e Expected) (*Stamp, error) {
	s, err := Read(token, e.Others...)
	if err != nil {
		return nil, err
	}
	_, strong := hashNames()[s.SignedBy]
	switch {
	case !strong:
		return nil, unreliable("it is signed by " + s.SignedBy.String())
	case s.Hash != e.Hash || !bytes.Equal(s.Digest, e.Digest):
		return nil, unreliable("its imprint is another's")
	case !sameNonce(e.Nonce, s.Nonce):
		return nil, unreliable("its nonce is another's")
	case len(e.Policy) > 0 && !s.Policy.Equal(e.Policy),
		len(e.Policies) > 0 && !slices.ContainsFunc(e.Policies, s.Policy.Equal):
		return nil, unreliable("its policy " + s.Policy.String() + " is not accepted")
	case s.Time.Sub(e.Now).Abs() > e.Drift+s.Accuracy:
		return nil, unreliable("its time " + s.Time.Format(time.RFC3339) + " is not that of the clock here")
	}
	if err := s.Fit(); err != nil {
		return nil, err
	}
	_, err = s.Chain(e.Now, e.Anchors, e.Others...)
	return s, err
}

func sameNonce(asked, got *big.Int) bool {
	return asked == nil && got == nil || asked != nil && got != nil && asked.Cmp(got) == 0
}

// Fit says whether whoever signed may stamp, and could at that time: see RFC
// 3161, 2.3, and the periods of certificate and key.
func (s *Stamp) Fit() error {
	c := s.Signer
	if err := checkUsage(c); err != nil {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	use, err := usagePeriod(c)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	if err := usable(c, use, s.Time); err != nil {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	return nil
}

// Chain leads from the signer to an anchor, both included, through what the
// token and others hold; all of them are valid at that time.
func (s *Stamp) Chain(at time.Time, anchors []*x509.Certificate, others ...*x509.Certificate) ([]*x509.Certificate, error) {
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	}
	for _, c := range anchors {
		o.Roots.AddCert(c)
	}
	for _, c := range slices.Concat(s.Certificates, others) {
		o.Intermediates.AddCert(c)
	}
	chains, err := s.Signer.Verify(o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return chains[0], nil
}
