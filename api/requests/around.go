package requests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Wanted is a signature to be built around a hash that was consented to.
type Wanted struct {
	Format  signer.Format
	Level   cades.Level
	Content []byte // the document; nil if only its digest is known
	// Options and Attributes are as those of an Upload.
	Options    Options
	Attributes signer.Attributes
}

// Built is a signature that was built: within its document, where that came, or
// by itself.
type Built struct {
	Reached  cades.Level
	Document []byte
	CMS      []byte
}

// Building is a set of signatures between their preparation and their end. It is
// to be closed. They are finished in the call that asked for them, or kept for
// another that fetches them.
type Building struct {
	service *Service
	parts   []part
}

// Around prepares the signatures that are wanted around a request's hashes, one
// for each in their order. A document whose hash is another is
// policies.DocumentChanged. Signing times are those of the consent: who asks
// again for what was signed before gets the same.
func (s *Service) Around(ctx context.Context, r signer.Request, wanted []Wanted) (*Building, error) {
	b := &Building{service: s}
	if len(wanted) != len(r.Documents) {
		return nil, policies.Refuse(policies.DocumentChanged)
	}
	for i, w := range wanted {
		p, err := s.part(ctx, r.Documents[i], w)
		if err != nil {
			b.Close()
			return nil, inDocument(err, i)
		}
		b.parts = append(b.parts, p)
	}
	return b, nil
}

func (s *Service) part(ctx context.Context, d signer.Document, w Wanted) (part, error) {
	p := part{Wanted: w, document: d}
	check := Upload{Format: w.Format, Level: w.Level, Options: w.Options, Attributes: w.Attributes}
	if err := check.checkSignature(); err != nil {
		return p, err
	}
	var err error
	if p.hash, p.digest, err = identity(d); err != nil {
		return p, err
	}
	if w.Content == nil {
		return p, nil
	}
	sum := p.hash.New()
	sum.Write(w.Content)
	if !bytes.Equal(sum.Sum(nil), d.Given) {
		return p, policies.Refuse(policies.DocumentChanged)
	}
	if p.file, err = documents.HeldFile(w.Content); err != nil {
		return p, err
	}
	if w.Format != signer.PAdES {
		return p, nil
	}
	if err := s.preparePDF(ctx, &p); err != nil {
		p.Close()
		return p, err
	}
	return p, nil
}

func (s *Service) preparePDF(ctx context.Context, p *part) error {
	prepared, err := s.Worker.Prepare(ctx, p.file, p.Options.forPDF(signatory{}, p.document.SigningTime, p.Level))
	if err != nil {
		return err
	}
	if _, refusal := policies.JudgeDocument(prepared.Findings, s.Documents); refusal != nil {
		return refusal
	}
	p.layout, p.update = prepared.Layout, prepared.Update
	if err := p.layout.FixTime(p.update, p.document.SigningTime); err != nil {
		return err
	}
	p.digest, err = p.layout.Digest(p.file.Reader(), p.update, p.hash)
	return err
}

// Orders are what the signer is to build.
func (b *Building) Orders() []signer.Around {
	out := make([]signer.Around, len(b.parts))
	for i, p := range b.parts {
		out[i] = signer.Around{Format: p.Format, Digest: p.digest, Attributes: p.Attributes}
	}
	return out
}

// Close forgets the documents.
func (b *Building) Close() {
	for _, p := range b.parts {
		p.Close()
	}
}

// take joins what the signer has made to what it was made of. If the key was used
// for something else, by another call, it is policies.AuthorisationInvalid.
func (b *Building) take(r signer.Request) error {
	for i := range b.parts {
		p := &b.parts[i]
		p.document = r.Documents[i]
		made, err := cms.Parse(p.document.CMS)
		if err == nil {
			var digest []byte
			if digest, err = made.MessageDigest(); err == nil && bytes.Equal(digest, p.digest) {
				continue
			}
		}
		return inDocument(policies.Refuse(policies.AuthorisationInvalid), i)
	}
	return nil
}

// Finish takes what the signer has made and lifts it to its level. A level that
// cannot be reached now is no error: it says what was.
func (b *Building) Finish(ctx context.Context, r signer.Request) ([]Built, error) {
	if err := b.take(r); err != nil {
		return nil, err
	}
	out := make([]Built, len(b.parts))
	for i, p := range b.parts {
		var err error
		if out[i], err = b.service.finish(ctx, r, p); err != nil {
			return nil, fmt.Errorf("document %d of %s: %w", i+1, r.ID, err)
		}
	}
	return out, nil
}

func (s *Service) finish(ctx context.Context, r signer.Request, p part) (Built, error) {
	gained := asMade(p.document)
	problem, err := s.lift(ctx, p, gained)
	if err != nil {
		return Built{}, err
	}
	if problem != nil {
		s.Logger.WarnContext(ctx, "level_not_reached", "request", r.ID, "document", p.document.Ordinal, "level", string(p.Level), "error", problem)
	}
	return s.built(ctx, p, gained)
}

// Keep stores what the signer has made with what it was made of, for Augment to
// lift and Fetch to give: of a document no more than its level and its form ask
// for. Who keeps the same again has kept it; something else is refused
// (policies.AuthorisationInvalid).
func (b *Building) Keep(ctx context.Context, r signer.Request) error {
	if err := b.take(r); err != nil {
		return err
	}
	n, again := signer.NewRequest{Request: r, Contents: make([]signer.NewContent, len(b.parts))}, 0
	n.Request.Documents = slices.Clone(r.Documents)
	for i, p := range b.parts {
		d := &n.Request.Documents[i]
		if d.Built == p.Format && d.Level == p.Level {
			again++
		}
		if err := b.service.verify(ctx, *d, p.digest, d.CMS); err != nil {
			return fmt.Errorf("document %d of %s: %w", i+1, r.ID, err)
		}
		d.Built, d.Level = p.Format, p.Level
		if err := p.keep(d, &n.Contents[i]); err != nil {
			return err
		}
	}
	if again == len(b.parts) {
		return nil
	}
	return b.service.Store.Keep(ctx, n, b.service.Now())
}

func (p part) keep(d *signer.Document, c *signer.NewContent) (err error) {
	if p.Format == signer.PAdES && p.file != nil {
		if d.Layout, err = json.Marshal(p.layout); err != nil {
			return fmt.Errorf("keeping the layout: %w", err)
		}
		c.Update = p.update
	}
	if p.file == nil || !whole(*d) {
		return nil
	}
	d.Size, c.Open = p.file.Size(), func() (io.Reader, error) { return p.file.Reader(), nil }
	d.SHA256, err = p.file.SHA256()
	return err
}

// Fetch gives what was kept, as far as it has come. policies.NotFound means that
// it is no longer there.
func (s *Service) Fetch(ctx context.Context, r signer.Request) ([]Built, error) {
	out := make([]Built, len(r.Documents))
	for i, d := range r.Documents {
		var err error
		if out[i], err = s.fetch(ctx, r.ID, d); err != nil {
			return nil, fmt.Errorf("document %d of %s: %w", i+1, r.ID, err)
		}
	}
	return out, nil
}

func (s *Service) fetch(ctx context.Context, requestID string, d signer.Document) (Built, error) {
	p, err := s.stored(ctx, requestID, d)
	if err != nil {
		return Built{}, err
	}
	defer p.Close()
	gained, err := s.gained(ctx, requestID, d)
	if err != nil {
		return Built{}, err
	}
	return s.built(ctx, p, gained)
}

// built is what leaves in an answer.
func (s *Service) built(ctx context.Context, p part, a *signer.Augmented) (Built, error) {
	out := Built{Reached: a.Reached, CMS: a.CMS}
	f, err := s.leaving(ctx, p, a)
	if err != nil {
		return out, err
	}
	defer f.Close()
	if p.file == nil || p.Format == signer.CAdESDetached {
		return out, nil
	}
	if out.Document, err = io.ReadAll(f.Reader()); err != nil {
		return out, fmt.Errorf("reading a signed document: %w", err)
	}
	return out, nil
}
