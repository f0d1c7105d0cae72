package bouncycastle

import (
	"crypto/x509"
	"strings"
	"testing" //nolint:depguard // a helper of tests, as the packages internal/*test are
	"time"
)

// Signature is a SignedData with CAdES signatures and what it is judged by.
type Signature struct {
	CMS     []byte
	Content []byte // nil: it stands inside
	// Root and Intermediates are of the signers and of the time-stamping
	// authorities.
	Root          *x509.Certificate
	Intermediates []*x509.Certificate
	At            time.Time // now, if zero
}

// Signer is what one signature says; what it does not say is empty.
type Signer struct {
	Serial    string // of its certificate, in lower-case hexadecimal
	Digest    string // algorithm, by its identifier
	Algorithm string // of the signature value, by its identifier

	SigningTime time.Time
	MimeType    string
	Hints       string // contentDescription and contentType
	Commitment  string
	Location    string // country, locality and address lines, with bars between
	Policy      string // identifier, hash algorithm and hash, qualifier and URI

	SignatureTimes []time.Time
	Archives       []Archive
}

// Archive is an archive-time-stamp-v3, and how many certificates, revocation
// values and unsigned attribute values its index names.
type Archive struct {
	Time                                  time.Time
	Certificates, Revocations, Attributes int
}

// Signatures checks signatures after EN 319 122-1: that all is in DER, without
// which BouncyCastle would judge what it had written itself; the signature value, the
// content, signing-certificate-v2, and the signer's path; that each
// signature-time-stamp is of the signature value; that the imprint of each
// archive-time-stamp-v3, computed from its octets by 5.5.3, is the one
// stamped, and that all that its index names is there; and for each
// time-stamp what TimeStamp checks.
func Signatures(tb testing.TB, s Signature) ([]Signer, error) {
	tb.Helper()
	chain := Chain{Root: s.Root, Intermediates: s.Intermediates, At: s.At}
	question := append(chain.pairs(), pair{"cms", s.CMS})
	if s.Content != nil {
		question = append(question, pair{"content", s.Content})
	}
	a, err := check(tb, "cades", question...)
	if err != nil {
		return nil, err
	}
	var signers []Signer
	for _, p := range a.pairs {
		if p.name == "signer" {
			signers = append(signers, Signer{Serial: string(p.value)})
			continue
		}
		signers[len(signers)-1].read(a, p)
	}
	return signers, nil
}

func (s *Signer) read(a answer, p pair) {
	a.tb.Helper()
	value := string(p.value)
	switch p.name {
	case "digest":
		s.Digest = value
	case "algorithm":
		s.Algorithm = value
	case "signing_time":
		s.SigningTime = a.millis(value)
	case "mime_type":
		s.MimeType = value
	case "hints":
		s.Hints = value
	case "commitment":
		s.Commitment = value
	case "location":
		s.Location = value
	case "policy":
		s.Policy = value
	case "signature_time":
		s.SignatureTimes = append(s.SignatureTimes, a.millis(value))
	case "archive":
		f := strings.Fields(value)
		s.Archives = append(s.Archives, Archive{a.millis(f[0]), a.int(f[1]), a.int(f[2]), a.int(f[3])})
	}
}
