package bouncycastle

import (
	"crypto/x509"
	"strings"
	"testing" //nolint:depguard // a helper of tests, as the packages internal/*test are
	"time"
)

// Document is a signed PDF and what it is judged by.
type Document struct {
	PDF []byte
	// Root and Intermediates are of the signers and of the time-stamping
	// authorities.
	Root          *x509.Certificate
	Intermediates []*x509.Certificate
	At            time.Time // now, if zero
}

// DocumentSignature is a signature or time-stamp in a PDF, in the order of its fields.
type DocumentSignature struct {
	Type, SubFilter string
	// End is where what its ByteRange covers ends.
	End int
	// Signer is of a signature, Time of a document time-stamp.
	Signer *Signer
	Time   time.Time
}

// Store is how much a document security store holds; zero where there is none.
type Store struct{ Certificates, CRLs, OCSPs, VRI int }

// Documents checks all signatures and document time-stamps that PDFBox finds in a
// PDF: that the ByteRange leaves out Contents and nothing else; of a signature what
// Signatures checks, of a time-stamp its imprint and what TimeStamp checks. Where
// something comes behind, all that the catalogue leads to, in the revision signed and
// in the document as it is, has to be the same but for signature fields without
// extent and validation data, and a signature has to say what it said. Of the latter each element has to be signed by
// somebody whose certificate is there or the root, and each VRI be of a signature.
func Documents(tb testing.TB, d Document) ([]DocumentSignature, Store, error) {
	tb.Helper()
	chain := Chain{Root: d.Root, Intermediates: d.Intermediates, At: d.At}
	a, err := check(tb, "document", append(chain.pairs(), pair{"document", d.PDF})...)
	if err != nil {
		return nil, Store{}, err
	}
	var found []DocumentSignature
	var store Store
	for _, p := range a.pairs {
		value := string(p.value)
		if p.name == "signature" {
			kind, filter, _ := strings.Cut(value, " ")
			found = append(found, DocumentSignature{Type: kind, SubFilter: filter})
			continue
		}
		s := &found[len(found)-1]
		switch p.name {
		case "end":
			s.End = a.int(value)
		case "document_time":
			s.Time = a.millis(value)
		case "signer":
			s.Signer = &Signer{Serial: value}
		case "store":
			f := strings.Fields(value)
			store = Store{a.int(f[0]), a.int(f[1]), a.int(f[2]), a.int(f[3])}
		default:
			if s.Signer != nil {
				s.Signer.read(a, p)
			}
		}
	}
	return found, store, nil
}

// PDFA gives what Preflight, of PDFBox, finds in a PDF that PDF/A-1 (ISO 19005-1)
// does not allow.
func PDFA(tb testing.TB, pdf []byte) ([]string, error) {
	tb.Helper()
	a, err := check(tb, "pdfa", pair{"document", pdf})
	if err != nil {
		return nil, err
	}
	var violations []string
	for _, p := range a.pairs {
		violations = append(violations, string(p.value))
	}
	return violations, nil
}
