package tsa

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Stamp is what a token says, of any authority, and who signed it.
type Stamp struct {
	cms.TSTInfo

	// SignedBy is the hash of the token's own signature.
	SignedBy crypto.Hash
	// Signer's is the key that signed, and its certificate is named among the
	// signed attributes. Certificates are those inside.
	Signer       *x509.Certificate
	Certificates []*x509.Certificate
}

// Read reads a token and verifies its signature, by a certificate inside or
// among others. Whether the signer may stamp, and is trusted, Fit and Chain say.
func Read(token []byte, others ...*x509.Certificate) (*Stamp, error) {
	t, err := cms.OpenToken(token)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if _, strong := hashNames()[t.Hash]; !strong {
		return nil, unreliable("its imprint is by " + t.Hash.String())
	}
	s := &Stamp{TSTInfo: t.TSTInfo, SignedBy: t.Signer.Hash, Certificates: t.Message.Certificates}
	if s.Signer = t.Signer.Certificate(slices.Concat(s.Certificates, others)); s.Signer == nil {
		return nil, unreliable("the certificate of its signer is missing")
	}
	if !t.Signer.NamesCertificate() {
		return nil, unreliable("it does not name its signer's certificate")
	}
	if err := t.Signer.Verify(s.Signer, t.Signer.HashOf(t.Content)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return s, nil
}
