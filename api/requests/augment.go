package requests

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

// Augmenter lifts signatures to higher levels. *augment.Augmenter fulfils it.
type Augmenter interface {
	// CMS adds to a signer of a message what the level asks for; content gives
	// the detached content. What is reached stands in the message, whatever the
	// error says.
	CMS(ctx context.Context, m *cms.Message, signer int, content func() (io.Reader, error), want cades.Level) (cades.Level, error)
	// CMSOver is CMS for a detached content of which only the digest is known.
	CMSOver(ctx context.Context, m *cms.Message, signer int, digest []byte, want cades.Level) (cades.Level, error)
	// PDF does the same for a document's last signature.
	PDF(ctx context.Context, doc augment.Document, want cades.Level) (cades.Level, error)
}

// soon is how long somebody who waits for a result waits for its higher level.
const soon = 5 * time.Second

// AugmentSoon tries to reach the levels that were asked for while the citizen
// still looks on. What fails now, the job does later.
func (s *Service) AugmentSoon(ctx context.Context, requestID string) {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	if err := s.Augment(ctx, requestID); err != nil {
		s.Logger.WarnContext(ctx, "augmentation_delayed", "request", requestID, "error", err)
	}
}

// Augment brings each signature of a request towards the level that was asked
// for. An error means that it is worth another try.
func (s *Service) Augment(ctx context.Context, requestID string) error {
	r, err := s.Store.Request(ctx, requestID)
	if err != nil {
		return err
	}
	if r.State != signer.Signed {
		return nil
	}
	var problems []error
	for _, d := range r.Documents {
		if d.Reached.AtLeast(d.Level) {
			continue
		}
		if err := s.augment(ctx, r, d); err != nil {
			problems = append(problems, fmt.Errorf("document %d: %w", d.Ordinal, err))
		}
	}
	return errors.Join(problems...)
}

// augment works at one signature, and keeps what it has come to.
func (s *Service) augment(ctx context.Context, r signer.Request, d signer.Document) error {
	p, err := s.stored(ctx, r.ID, d)
	if errors.Is(err, policies.Refuse(policies.NotFound)) {
		return nil // the retention is over
	}
	if err != nil {
		return err
	}
	defer p.Close()
	// What was gained before is gone on from: the first time-stamp proves most.
	gained, err := s.gained(ctx, r.ID, d)
	if err != nil {
		return err
	}
	problem, err := s.lift(ctx, p, gained)
	if err != nil {
		return err
	}
	gained.Lacking = ""
	if problem != nil {
		gained.Lacking = lacking(problem)
	}
	if err := s.Store.Augment(context.WithoutCancel(ctx), r.ID, *gained, s.Now()); err != nil {
		return fmt.Errorf("keeping what a signature has gained: %w", err)
	}
	if final(problem) {
		s.Logger.ErrorContext(ctx, "augmentation_impossible", "request", r.ID, "document", d.Ordinal, "error", problem)
		return nil
	}
	return problem
}

// gained is what a signature has besides what the signer made.
func (s *Service) gained(ctx context.Context, requestID string, d signer.Document) (*signer.Augmented, error) {
	added, err := s.Store.Augmented(ctx, requestID, d.Ordinal)
	if err != nil || added != nil {
		return added, err
	}
	return asMade(d), nil
}

// asMade is a signature as the signer made it.
func asMade(d signer.Document) *signer.Augmented {
	return &signer.Augmented{Ordinal: d.Ordinal, Reached: cades.BB, CMS: d.CMS}
}

// Lacking is why a signature has not the level that was asked for, empty if it
// has. A signature to which nobody has come yet, because a process died or had
// no more time, lacks the next level all the same.
func Lacking(d signer.Document) policies.Code {
	switch {
	case d.Reached == "" || d.Reached.AtLeast(d.Level):
		return ""
	case d.Lacking != "":
		return d.Lacking
	case d.Reached.AtLeast(cades.BT):
		return policies.EvidenceUnavailable
	}
	return policies.TimeStampUnavailable
}

// final reports whether another try would end the same way.
func final(problem error) bool {
	if errors.Is(problem, policies.Refuse(policies.TimeStampUnavailable)) {
		return false // of several authorities one may come back
	}
	for _, end := range []error{augment.ErrInvalid, augment.ErrUntrusted, augment.ErrShort, augment.ErrLevel, augment.ErrForbidden, augment.ErrNoRoom} {
		if errors.Is(problem, end) {
			return true
		}
	}
	_, revoked := errors.AsType[*augment.RevokedError](problem)
	return revoked
}

// lacking is what is said of a level that is not reached.
func lacking(problem error) policies.Code {
	if final(problem) {
		return policies.LevelUnreachable
	}
	if errors.Is(problem, policies.Refuse(policies.TimeStampUnavailable)) {
		return policies.TimeStampUnavailable
	}
	return policies.EvidenceUnavailable
}

// signedPDF is an augment.Document whose parsing happens in the document worker.
type signedPDF struct {
	worker   Worker
	anchors  []*x509.Certificate
	file     *documents.File
	layout   pades.Layout // of the signature
	update   []byte       // with the signature
	base     int64        // where the signed document ends
	cms      []byte
	held     []augment.Held
	prepared *documents.Prepared
}

var _ augment.Document = (*signedPDF)(nil)

// tail is what follows the signed document.
func (p *signedPDF) tail() ([]byte, error) {
	tail := make([]byte, p.file.Size()-p.base)
	if _, err := io.ReadFull(io.NewSectionReader(p.file, p.base, int64(len(tail))), tail); err != nil {
		return nil, fmt.Errorf("reading what was appended: %w", err)
	}
	return tail, nil
}

// Signatures implements augment.Document.
func (p *signedPDF) Signatures(ctx context.Context) ([]augment.Held, error) {
	var err error
	if p.held, err = p.worker.Signatures(ctx, p.file, p.anchors); err != nil {
		return nil, err
	}
	if last := len(p.held) - 1; last >= 0 && p.file.Size() == p.base {
		p.held[last].Room = p.layout.Hole()
	}
	return p.held, nil
}

// Digest implements augment.Document.
func (p *signedPDF) Digest(_ context.Context, number int, hash crypto.Hash) ([]byte, error) {
	if number < 0 || number >= len(p.held) || !hash.Available() {
		return nil, fmt.Errorf("hashing for signature %d by %v: %w", number, hash, errors.ErrUnsupported)
	}
	h, r := hash.New(), p.held[number].ByteRange
	for _, part := range [][2]int64{{r[0], r[1]}, {r[2], r[3]}} {
		if n, err := io.Copy(h, io.NewSectionReader(p.file, part[0], part[1])); err != nil || n != part[1] {
			return nil, fmt.Errorf("reading what signature %d covers: %w", number, errors.Join(err, augment.ErrInvalid))
		}
	}
	return h.Sum(nil), nil
}

// Embed implements augment.Document.
func (p *signedPDF) Embed(_ context.Context, signature []byte) error {
	if p.file.Size() != p.base {
		return augment.ErrNoRoom
	}
	if err := p.layout.Embed(p.update, signature); err != nil {
		if errors.Is(err, pades.ErrTooLarge) {
			return fmt.Errorf("%w: %w", augment.ErrNoRoom, err)
		}
		return err
	}
	p.cms = signature
	return p.file.Replace(p.update, p.layout.Original)
}

// AddEvidence implements augment.Document.
func (p *signedPDF) AddEvidence(ctx context.Context, about []augment.VRI) error {
	update, err := p.worker.AddEvidence(ctx, p.file, about)
	if err != nil {
		return err
	}
	_, err = p.file.Write(update)
	return err
}

// PrepareTimeStamp implements augment.Document.
func (p *signedPDF) PrepareTimeStamp(ctx context.Context, hash crypto.Hash, hole int) ([]byte, error) {
	var err error
	if p.prepared, err = p.worker.PrepareTimeStamp(ctx, p.file, hole); err != nil {
		return nil, err
	}
	return p.prepared.Layout.Digest(p.file.Reader(), p.prepared.Update, hash)
}

// CompleteTimeStamp implements augment.Document.
func (p *signedPDF) CompleteTimeStamp(_ context.Context, token []byte) error {
	prepared := p.prepared
	if prepared == nil {
		return fmt.Errorf("completing a document time-stamp that was not prepared: %w", augment.ErrInvalid)
	}
	p.prepared = nil
	if err := prepared.Layout.Embed(prepared.Update, token); err != nil {
		if errors.Is(err, pades.ErrTooLarge) {
			return fmt.Errorf("%w: %w", augment.ErrNoRoom, err)
		}
		return err
	}
	_, err := p.file.Write(prepared.Update)
	return err
}
