package requests

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"fmt"
	"io"
	"slices"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

// part is one signature with what it is made of. It is to be closed.
type part struct {
	Wanted

	document signer.Document
	hash     crypto.Hash
	file     *documents.File // nil if only a digest is known
	layout   pades.Layout
	update   []byte
	digest   []byte // of what the signature covers
}

// Close forgets the document.
func (p part) Close() {
	if p.file != nil {
		p.file.Close()
	}
}

// stored is a part of what was kept. policies.NotFound means that the retention is
// over.
func (s *Service) stored(ctx context.Context, requestID string, d signer.Document) (p part, err error) {
	p = part{Format: cmp.Or(d.Built, d.Format), Level: d.Level, document: d}
	if p.hash, p.digest, err = identity(d); err != nil || !whole(d) {
		return p, err
	}
	if p.file, err = s.original(ctx, requestID, d); err != nil || p.Format != signer.PAdES {
		return p, err
	}
	if err = s.storedPDF(ctx, requestID, &p); err != nil {
		p.Close()
	}
	return p, err
}

func (s *Service) storedPDF(ctx context.Context, requestID string, p *part) (err error) {
	if p.layout, p.update, err = s.prepared(ctx, requestID, p.document); err != nil {
		return err
	}
	if err = p.layout.FixTime(p.update, p.document.SigningTime); err != nil {
		return err
	}
	p.digest, err = digest(p.layout, p.file, p.update, p.hash)
	return err
}

// whole is whether a document itself is needed: for a hash that was given in its
// place, only where what is built holds it, or hashes it again (EN 319 122-1,
// 5.5.3).
func whole(d signer.Document) bool {
	return d.Given == nil || len(d.Layout) > 0 || d.Built == signer.CAdESAttached || d.Level.AtLeast(cades.BLTA)
}

// identity is what a document is held against: its own hash, or the one that came
// in its place.
func identity(d signer.Document) (crypto.Hash, []byte, error) {
	if d.Given == nil {
		return crypto.SHA256, d.SHA256, nil
	}
	hash, err := signer.ParseDigest(d.Hash, d.Given)
	return hash, d.Given, err
}

// lift brings a signature towards its level; problem is why it has not come there.
func (s *Service) lift(ctx context.Context, p part, gained *signer.Augmented) (problem, err error) {
	if p.Format == signer.PAdES && p.file != nil {
		return s.liftPDF(ctx, p, gained)
	}
	m, err := cms.Open(bytes.NewReader(gained.CMS), int64(len(gained.CMS)))
	if err != nil {
		return nil, err
	}
	if p.file != nil {
		gained.Reached, problem = s.Augmenter.CMS(ctx, m, 0, func() (io.Reader, error) { return p.file.Reader(), nil }, p.Level)
	} else {
		gained.Reached, problem = s.Augmenter.CMSOver(ctx, m, 0, p.digest, p.Level)
	}
	var out bytes.Buffer
	if err := m.Write(&out); err != nil {
		return nil, fmt.Errorf("writing a signature: %w", err)
	}
	gained.CMS = out.Bytes()
	return problem, nil
}

func (s *Service) liftPDF(ctx context.Context, p part, gained *signer.Augmented) (problem, err error) {
	if err := p.layout.Embed(p.update, gained.CMS); err != nil {
		return nil, err
	}
	doc := &signedPDF{worker: s.Worker, layout: p.layout, update: p.update, base: p.layout.Size, cms: gained.CMS}
	if doc.anchors, err = s.Trust(ctx); err != nil {
		return nil, fmt.Errorf("reading whom to trust: %w", err)
	}
	if doc.file, err = documents.NewFile(io.MultiReader(p.file.Reader(), bytes.NewReader(p.update), bytes.NewReader(gained.Tail))); err != nil {
		return nil, err
	}
	defer doc.file.Close()
	gained.Reached, problem = s.Augmenter.PDF(ctx, doc, p.Level)
	gained.CMS = doc.cms
	if gained.Tail, err = doc.tail(); err != nil {
		return nil, err
	}
	return problem, nil
}

// leaving is the file that leaves: it is checked once more. It may be the part's
// own.
func (s *Service) leaving(ctx context.Context, p part, a *signer.Augmented) (*documents.File, error) {
	if err := s.verify(ctx, p.document, p.digest, a.CMS); err != nil {
		return nil, err
	}
	switch {
	case p.file == nil || p.Format == signer.CAdESDetached:
		return documents.HeldFile(a.CMS)
	case p.Format == signer.PAdES:
		if err := p.layout.Embed(p.update, a.CMS); err != nil {
			return nil, err
		}
		_, err := p.file.Write(slices.Concat(p.update, a.Tail))
		return p.file, err
	}
	return documents.Assemble(func(f *documents.File) error {
		m, err := cms.Open(bytes.NewReader(a.CMS), int64(len(a.CMS)))
		if err != nil {
			return err
		}
		return m.WriteAttached(f, p.file.Reader(), p.file.Size())
	})
}
