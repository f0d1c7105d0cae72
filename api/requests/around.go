package requests

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"io"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
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
// to be closed.
type Building struct {
	service *Service
	parts   []part
}

// part is one signature of a Building.
type part struct {
	Wanted

	document signer.Document
	hash     crypto.Hash
	file     *documents.File
	layout   pades.Layout
	update   []byte
	digest   []byte // of what the signature covers
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
	p := part{Wanted: w, document: d, digest: d.Given}
	check := Upload{Format: w.Format, Level: w.Level, Options: w.Options, Attributes: w.Attributes}
	if err := check.checkSignature(); err != nil {
		return p, err
	}
	var err error
	if p.hash, err = signer.ParseDigest(d.Hash, d.Given); err != nil {
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
		p.file.Close()
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
		if p.file != nil {
			p.file.Close()
		}
	}
}

// Finish takes what the signer has made, checks it as Result does, and lifts it
// to its level. A level that cannot be reached now is no error: it says what was.
func (b *Building) Finish(ctx context.Context, r signer.Request) ([]Built, error) {
	out := make([]Built, len(b.parts))
	for i, p := range b.parts {
		p.document = r.Documents[i]
		var err error
		if out[i], err = b.service.finish(ctx, r, p); err != nil {
			return nil, fmt.Errorf("document %d of %s: %w", i+1, r.ID, err)
		}
	}
	return out, nil
}

func (s *Service) finish(ctx context.Context, r signer.Request, p part) (Built, error) {
	d := p.document
	if err := s.verify(ctx, d, p.digest, d.CMS); err != nil {
		return Built{}, err
	}
	var (
		out     Built
		problem error
		err     error
	)
	switch {
	case p.Format == signer.PAdES && p.Content != nil:
		out, problem, err = s.finishPDF(ctx, p)
	default:
		out, problem, err = s.finishCMS(ctx, p)
	}
	if err == nil && problem != nil {
		s.Logger.WarnContext(ctx, "level_not_reached", "request", r.ID, "document", d.Ordinal, "level", string(p.Level), "error", problem)
	}
	return out, err
}

func (s *Service) finishPDF(ctx context.Context, p part) (out Built, problem, err error) {
	if err := p.layout.Embed(p.update, p.document.CMS); err != nil {
		return out, nil, err
	}
	doc := &signedPDF{worker: s.Worker, layout: p.layout, update: p.update, base: p.layout.Size, cms: p.document.CMS}
	if doc.anchors, err = s.Trust(ctx); err != nil {
		return out, nil, fmt.Errorf("reading whom to trust: %w", err)
	}
	if doc.file, err = documents.NewFile(io.MultiReader(p.file.Reader(), bytes.NewReader(p.update))); err != nil {
		return out, nil, err
	}
	defer doc.file.Close()
	out.Reached, problem = s.Augmenter.PDF(ctx, doc, p.Level)
	out.CMS = doc.cms
	if out.Document, err = io.ReadAll(doc.file.Reader()); err != nil {
		return out, nil, fmt.Errorf("reading a signed document: %w", err)
	}
	return out, problem, nil
}

func (s *Service) finishCMS(ctx context.Context, p part) (out Built, problem, err error) {
	m, err := cms.Open(bytes.NewReader(p.document.CMS), int64(len(p.document.CMS)))
	if err != nil {
		return out, nil, err
	}
	if p.Content != nil {
		out.Reached, problem = s.Augmenter.CMS(ctx, m, 0, func() (io.Reader, error) { return p.file.Reader(), nil }, p.Level)
	} else {
		out.Reached, problem = s.Augmenter.CMSOver(ctx, m, 0, p.digest, p.Level)
	}
	var der bytes.Buffer
	if err := m.Write(&der); err != nil {
		return out, nil, fmt.Errorf("writing a signature: %w", err)
	}
	out.CMS = der.Bytes()
	if p.Format != signer.CAdESAttached || p.Content == nil {
		return out, problem, nil
	}
	var whole bytes.Buffer
	if err := m.WriteAttached(&whole, p.file.Reader(), p.file.Size()); err != nil {
		return out, nil, fmt.Errorf("attaching the content: %w", err)
	}
	out.Document = whole.Bytes()
	return out, problem, nil
}
