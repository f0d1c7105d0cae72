package verify

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cades"
)

// Fetcher asks others for what a document does not hold: the status of a
// certificate, as OCSP answers or lists.
type Fetcher interface {
	Revocation(ctx context.Context, c, issuer *x509.Certificate) (cades.Evidence, error)
}

// Verifier validates signatures. It may be used by many at once.
type Verifier struct {
	// Trust are the trust anchors. Without any no signature is valid.
	Trust []*x509.Certificate
	// Evidence is known besides what the document holds.
	Evidence cades.Evidence
	// Fetch is asked for the rest; nil: nobody is.
	Fetch Fetcher
	// Algorithms is TS119312 if it is empty.
	Algorithms Algorithms
	// Freshness is how old information about revocation may be (EN 319 102-1,
	// 5.2.5.4, step 1); 0: until its nextUpdate.
	Freshness time.Duration
	// Now is the time of validation.
	Now func() time.Time
}

// Input is what is validated.
type Input struct {
	// Name is for the report.
	Name string
	// Document is a PDF, or a CMS signature, of Size octets.
	Document io.ReaderAt
	Size     int64
	// Content is what a detached CMS signature is of, of ContentSize octets;
	// nil if there is none.
	Content     io.ReaderAt
	ContentSize int64
}

// ErrNotSigned is in every error about a file that can hold no signature that is
// known here: neither a PDF nor CMS SignedData.
var ErrNotSigned = errors.New("neither a PDF nor a CMS signature")

// validation is one use of a Verifier.
type validation struct {
	now        time.Time
	algorithms Algorithms
	freshness  time.Duration
	fetch      Fetcher
	asked      map[string]bool // certificates of which fetch was asked
	pool       *pool
}

// File validates all signatures of a document. An error says that it could not
// be looked at; that a signature is not valid is no error.
func (r *Verifier) File(ctx context.Context, in Input) (*Report, error) {
	v := &validation{now: r.Now().UTC(), algorithms: r.Algorithms, freshness: r.Freshness, fetch: r.Fetch, asked: map[string]bool{}}
	if len(v.algorithms.Keys) == 0 {
		v.algorithms = TS119312()
	}
	v.pool = newPool(v.now, r.Trust)
	v.pool.add(r.Evidence, given)
	report := &Report{Name: in.Name, Size: in.Size, Time: v.now, Algorithms: v.algorithms.Source}
	head := make([]byte, min(in.Size, headOctets))
	if _, err := in.Document.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	var err error
	switch {
	case LooksLikePDF(head):
		report.Format = "pdf"
		err = v.pdf(ctx, in, report)
	case len(head) > 0 && (head[0] == 0x30 || bytes.HasPrefix(bytes.TrimSpace(head), []byte("-----BEGIN"))):
		report.Format = "cms"
		err = v.cms(ctx, in, report)
	default:
		return nil, ErrNotSigned
	}
	if err != nil {
		return nil, err
	}
	report.conclude()
	return report, nil
}

// headOctets is where a PDF may say that it is one (ISO 32000-1, annex H.3,
// note 13).
const headOctets = 1024

// LooksLikePDF says by the beginning of a file whether it is to be read as a PDF,
// or else as a CMS.
func LooksLikePDF(head []byte) bool {
	const sequence = 0x30 // a CMS may be around a PDF
	return bytes.Contains(head, []byte("%PDF-")) && head[0] != sequence
}

// add makes evidence known.
func (p *pool) add(e cades.Evidence, from origin) {
	for _, c := range e.Certificates {
		p.addCertificate(c, from)
	}
	for _, raw := range e.OCSPs {
		p.addAnswer(raw, from)
	}
	for _, raw := range e.CRLs {
		p.addList(raw, from)
	}
}
