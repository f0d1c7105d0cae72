package documents

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// Verification is what signatures are validated with, besides their document.
type Verification struct {
	Name     string // of the document, for the report
	Content  *File  // what a detached signature is of; nil if there is none
	Trust    []*x509.Certificate
	Evidence cades.Evidence
	Time     time.Time // of validation
}

// Verified is a report, and what would have to be known for a better one.
type Verified struct {
	Report *verify.Report
	Open   []Question
}

// Question asks for the status of a certificate. Both come out of a stranger's
// document, and neither is believed.
type Question struct{ Certificate, Issuer *x509.Certificate }

// maxEvidence bounds what is told to the child; with base64 it fits a frame.
const maxEvidence = 10 << 20

// Verify validates the signatures of a PDF or CMS without asking anybody. What is
// neither is a *policies.Refusal; what is not valid is told in the report.
func (w *Worker) Verify(ctx context.Context, f *File, v Verification) (Verified, error) {
	if f.Size() == 0 {
		return Verified{}, policies.Refuse(policies.DocumentEmpty)
	}
	q := questioned{Name: v.Name, Time: v.Time, Trust: raw(v.Trust)}
	q.Evidence, q.Size = affordable(v.Evidence), -1
	if v.Content != nil {
		q.Size = v.Content.Size()
	}
	answer, _, err := w.askWith(ctx, job{Kind: kindVerify, Verify: &q}, f, v.Content)
	if err != nil {
		return Verified{}, err
	}
	if answer.Report == nil {
		return Verified{}, errors.New("the document worker gave no report")
	}
	out := Verified{Report: answer.Report}
	for _, p := range answer.Open {
		both, err := parse([][]byte{p.Certificate, p.Issuer})
		if err != nil {
			return Verified{}, err
		}
		out.Open = append(out.Open, Question{Certificate: both[0], Issuer: both[1]})
	}
	return out, nil
}

// questioned is a Verification as the child gets it.
type questioned struct {
	Name     string    `json:"name"`
	Time     time.Time `json:"time"`
	Trust    [][]byte  `json:"trust"`
	Evidence evidence  `json:"evidence,omitzero"`
	Size     int64     `json:"size"` // of the content, -1 if there is none
}

// pair is a Question in DER.
type pair struct {
	Certificate []byte `json:"certificate"`
	Issuer      []byte `json:"issuer"`
}

// affordable leaves out what is too long to be told, the longest kinds last.
func affordable(e cades.Evidence) evidence {
	left := maxEvidence
	take := func(list [][]byte) [][]byte {
		return slices.DeleteFunc(slices.Clone(list), func(der []byte) bool {
			size := base64.StdEncoding.EncodedLen(len(der))
			if size > left {
				return true
			}
			left -= size
			return false
		})
	}
	return evidence{Certificates: take(raw(e.Certificates)), OCSPs: take(e.OCSPs), CRLs: take(e.CRLs)}
}

// judgeSignatures is the child's part of Verify.
func judgeSignatures(q *questioned, document io.ReaderAt, size int64) (reply, error) {
	if q == nil {
		return reply{}, errors.ErrUnsupported
	}
	trust, err := parse(q.Trust)
	if err != nil {
		return reply{}, err
	}
	certificates, err := parse(q.Evidence.Certificates)
	if err != nil {
		return reply{}, err
	}
	in := verify.Input{Name: q.Name, Document: document, Size: size}
	if q.Size >= 0 {
		content := os.NewFile(contentFile, "content")
		if content == nil {
			return reply{}, os.ErrInvalid
		}
		in.Content, in.ContentSize = content, q.Size
	}
	open := &unanswered{}
	v := verify.Verifier{
		Trust: trust, Fetch: open, Now: func() time.Time { return q.Time },
		Evidence: cades.Evidence{Certificates: certificates, OCSPs: q.Evidence.OCSPs, CRLs: q.Evidence.CRLs},
	}
	report, err := v.File(context.Background(), in)
	if errors.Is(err, verify.ErrNotSigned) {
		return reply{}, policies.Refuse(policies.VerificationFormat)
	}
	return reply{Report: report, Open: open.pairs}, err
}

// unanswered notes what is asked. There is no network here: who started this
// process asks, and then starts another.
type unanswered struct{ pairs []pair }

// maxOpen bounds what a document may make us ask for.
const maxOpen = 32

var errNobodyHere = errors.New("nobody to ask in this process")

// Revocation implements verify.Fetcher.
func (u *unanswered) Revocation(_ context.Context, c, issuer *x509.Certificate) (cades.Evidence, error) {
	if len(u.pairs) < maxOpen {
		u.pairs = append(u.pairs, pair{Certificate: c.Raw, Issuer: issuer.Raw})
	}
	return cades.Evidence{}, errNobodyHere
}
