package requests

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
)

// An envelope is documents that several citizens sign. Each of them has a request
// like any other, with its page, its consent and its entries in the log; what is
// here makes the requests, goes on from one to the next, and puts the signatures
// together.

const (
	fewestSigners = 2
	mostSigners   = 20
	// mostSignatures bounds signers times documents.
	mostSignatures = 200
)

// EnvelopeStore is what the public side keeps of envelopes. It decides over no
// signature: it can keep some from being made.
type EnvelopeStore interface {
	// AddEnvelope stores an envelope and its first requests, as AddRequest does.
	AddEnvelope(ctx context.Context, n signer.NewEnvelope) (id string, err error)
	// EarlierEnvelope is as EarlierRequest.
	EarlierEnvelope(ctx context.Context, applicationID, key string, bodyHash []byte) (string, error)
	// Envelope reads one (policies.RequestUnknown).
	Envelope(ctx context.Context, id string) (signer.Envelope, error)
	// NextRequest makes the request of a signer who has none yet, with the id that
	// s names, in state received. policies.RequestState: there is one, or the
	// envelope has ended.
	NextRequest(ctx context.Context, envelopeID string, s signer.EnvelopeSigner, now time.Time) error
	// EndEnvelope moves pending → state, and tells the application
	// (policies.RequestState).
	EndEnvelope(ctx context.Context, id string, state signer.EnvelopeState, now time.Time) error
	// Prefix is what others have appended to a PDF before its signature
	// (policies.NotFound).
	Prefix(ctx context.Context, requestID string, ordinal int) ([]byte, error)
}

// Withdrawer ends a request that waits although its envelope has ended
// (policies.RequestState: it does not wait). signer.Service fulfils it.
type Withdrawer interface {
	Withdraw(ctx context.Context, requestID string) error
}

// EnvelopeSubmission is what a back end asks of several citizens. The Identifier
// of its Submission is nobody's.
type EnvelopeSubmission struct {
	Submission
	Ordering signer.Ordering
	Signers  []EnvelopeSigner
}

// EnvelopeSigner is one who is to sign.
type EnvelopeSigner struct {
	Identifier string // normalised DNI or NIE
	Title      string // empty for that of the envelope
	Locale     string
	// Options say how this signer's signature in the PDFs is to be, where they
	// are not those of the document.
	Options Options
}

// over lays what a signer has of their own over what a document asks of all.
func (o Options) over(all Options) Options {
	return Options{
		Reason: cmp.Or(o.Reason, all.Reason), Location: cmp.Or(o.Location, all.Location), Field: cmp.Or(o.Field, all.Field),
		Certify: all.Certify, Stamp: cmp.Or(o.Stamp, all.Stamp),
	}
}

// uploadsOf are the documents as one of the signers is to sign them.
func (sub EnvelopeSubmission) uploadsOf(s EnvelopeSigner) []Upload {
	uploads := slices.Clone(sub.Documents)
	for i := range uploads {
		if uploads[i].Format == signer.PAdES {
			uploads[i].Options = s.Options.over(uploads[i].Options)
		}
	}
	return uploads
}

func (sub EnvelopeSubmission) check() error {
	malformed := func(format string, args ...any) error {
		return policies.Refuse(policies.RequestMalformed, "field", fmt.Sprintf(format, args...))
	}
	switch {
	case !sub.Ordering.Known():
		return malformed("order")
	case len(sub.Signers) < fewestSigners || len(sub.Signers) > mostSigners:
		return malformed("signers")
	case len(sub.Signers)*len(sub.Documents) > mostSignatures:
		return policies.Refuse(policies.RequestTooManyDocs, "limit", fmt.Sprint(mostSignatures/len(sub.Signers)))
	}
	for i, s := range sub.Signers {
		same := func(o EnvelopeSigner) bool { return o.Identifier == s.Identifier }
		switch {
		case slices.ContainsFunc(sub.Signers[:i], same):
			return malformed("signers/%d/identifier", i)
		case !optionalText(s.Title, 200):
			return malformed("signers/%d/title", i)
		}
		for n, u := range sub.uploadsOf(s) {
			if err := u.checkSignature(); err != nil {
				return inDocument(err, n)
			}
			for _, earlier := range sub.Signers[:i] {
				if clash(u.Options, sub.uploadsOf(earlier)[n].Options) {
					return inDocument(malformed("signers/%d/signature", i), n)
				}
			}
		}
	}
	for i, d := range sub.Documents {
		// Who certifies a document forbids the others theirs, or nearly.
		if d.Options.Certify != 0 {
			return inDocument(malformed("signature/certification"), i)
		}
	}
	return nil
}

// clash reports whether two signatures cannot both be in one PDF: in one field, or
// one stamp over the other.
func clash(a, b Options) bool {
	if a.Field != "" && a.Field == b.Field {
		return true
	}
	if a.Stamp == nil || b.Stamp == nil {
		return false
	}
	return a.Stamp.place() != stamp.InField && a.Stamp.place() == b.Stamp.place() && a.Stamp.Rect == b.Stamp.Rect &&
		cmp.Or(a.Stamp.Page, 1) == cmp.Or(b.Stamp.Page, 1)
}

// SubmitEnvelope takes an envelope in. The same idempotency key with the same body
// gives the same envelope again.
func (s *Service) SubmitEnvelope(ctx context.Context, sub EnvelopeSubmission) (signer.Envelope, error) {
	if err := cmp.Or(s.check(sub.Submission), sub.check()); err != nil {
		return signer.Envelope{}, err
	}
	id, err := s.Envelopes.EarlierEnvelope(ctx, sub.Client.ID, sub.IdempotencyKey, sub.BodyHash)
	if err != nil {
		return signer.Envelope{}, err
	}
	if id == "" {
		if id, err = s.addEnvelope(ctx, sub); err != nil {
			return signer.Envelope{}, err
		}
	}
	if err := s.Settle(ctx, id); err != nil {
		return signer.Envelope{}, err
	}
	return s.Envelopes.Envelope(ctx, id)
}

func (s *Service) addEnvelope(ctx context.Context, sub EnvelopeSubmission) (string, error) {
	first := sub.Submission
	first.Identifier, first.Documents = sub.Signers[0].Identifier, sub.uploadsOf(sub.Signers[0])
	t, err := s.takeAll(ctx, first)
	if err != nil {
		return "", err
	}
	defer t.Close()
	if err := s.tryOthers(ctx, sub, t); err != nil {
		return "", err
	}
	n := signer.NewEnvelope{
		Envelope: signer.Envelope{
			ID: rand.Text(), ApplicationID: sub.Client.ID, Title: sub.Title, Ordering: sub.Ordering,
			CreatedAt: t.Request.CreatedAt, ExpiresAt: t.Request.ExpiresAt,
		},
		IdempotencyKey: sub.IdempotencyKey, BodyHash: sub.BodyHash,
	}
	for i, asked := range sub.Signers {
		signs := signer.EnvelopeSigner{
			Position: i + 1, Identifier: asked.Identifier, Title: cmp.Or(asked.Title, sub.Title), Locale: cmp.Or(asked.Locale, sub.Locale),
		}
		for _, u := range t.among(sub.uploadsOf(asked)) {
			options, err := json.Marshal(u.Options)
			if err != nil {
				return "", fmt.Errorf("keeping the options: %w", err)
			}
			signs.Options = append(signs.Options, string(options))
		}
		if i == 0 || sub.Ordering == signer.Parallel {
			signs.RequestID = rand.Text()
			n.Requests = append(n.Requests, t.requestTo(signs))
		}
		n.Envelope.Signers = append(n.Envelope.Signers, signs)
	}
	return s.Envelopes.AddEnvelope(ctx, n)
}

// among are those of the uploads that were taken in.
func (t *taken) among(uploads []Upload) []Upload {
	var in []Upload
	for i, u := range uploads {
		if !slices.ContainsFunc(t.Request.Rejected, func(x signer.Rejected) bool { return x.Position == i+1 }) {
			in = append(in, u)
		}
	}
	return in
}

// requestTo is the request to one of the signers. What was prepared is the first
// one's alone: for the others it is done when they look at it.
func (t *taken) requestTo(s signer.EnvelopeSigner) signer.NewRequest {
	n := t.NewRequest
	n.Request.ID, n.Request.Identifier, n.Request.Title, n.Request.Locale = s.RequestID, s.Identifier, s.Title, s.Locale
	n.IdempotencyKey = s.RequestID // the application's own is the envelope's
	n.Contents, n.Request.Documents = slices.Clone(n.Contents), slices.Clone(n.Request.Documents)
	for i := range n.Request.Documents {
		if d := &n.Request.Documents[i]; s.Position > 1 && d.Format == signer.PAdES {
			d.Layout, d.Options, n.Contents[i].Update = []byte("{}"), []byte(s.Options[i]), nil
		}
	}
	return n
}

// tryOthers refuses now what would be refused once another than the first signer
// has come: a stamp that does not fit, a field that is not there.
func (s *Service) tryOthers(ctx context.Context, sub EnvelopeSubmission, t *taken) error {
	for i, asked := range sub.Signers {
		if i == 0 || asked.Options == (Options{}) {
			continue // as the first one's
		}
		by, err := s.signatory(ctx, asked.Identifier)
		if err != nil {
			return err
		}
		by.Organisation, by.Name = sub.Client.Organisation, cmp.Or(by.Name, someName)
		for n, u := range t.among(sub.uploadsOf(asked)) {
			if u.Format != signer.PAdES {
				continue
			}
			if _, err := s.Worker.Prepare(ctx, t.files[n], u.Options.forPDF(by, t.Request.CreatedAt, u.Level)); err != nil {
				return inSigner(inDocument(err, n), i)
			}
		}
	}
	return nil
}

// inSigner adds to a refusal which signer it is about.
func inSigner(err error, index int) error {
	if r, ok := errors.AsType[*policies.Refusal](err); ok {
		r.Params["signer"] = fmt.Sprint(index + 1)
	}
	return err
}
