package augment

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	pades "github.com/rubrica-firma/rubrica/signer/pades2"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// Local is a Document in this process, for commands of operators on files of
// theirs. What was there stays, octet by octet; all that is added stands behind.
// It is for one goroutine.
type Local struct {
	file     *pdf.File
	anchors  []*x509.Certificate
	held     []*pades.Signature
	prepared *pades.Prepared
}

// OpenLocal opens a PDF file. A chain that ends at one of the anchors is whole.
func OpenLocal(r io.ReaderAt, size int64, anchors ...*x509.Certificate) (*Local, error) {
	f, err := pdf.Open(r, size)
	if err != nil {
		return nil, err
	}
	return &Local{file: f, anchors: anchors}, nil
}

// Reader reads the document as it stands.
func (l *Local) Reader() *io.SectionReader { return l.file.Reader() }

// Signatures implements Document. Usage rights are nobody's signatures of the
// document.
func (l *Local) Signatures(context.Context) ([]Held, error) {
	all, err := pades.Signatures(l.file)
	if err != nil {
		return nil, err
	}
	l.held = l.held[:0]
	var held []Held
	last := -1
	for _, s := range all {
		if s.Revision < 0 || s.UsageRights {
			continue
		}
		der, err := s.CMS()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		stamp := s.Type == "DocTimeStamp"
		if !stamp {
			last = len(held)
		}
		l.held = append(l.held, s)
		held = append(held, Held{CMS: der, Contents: s.Contents, TimeStamp: stamp, Whole: s.Whole})
	}
	if last >= 0 { // the level of the others nobody asks for
		held[last].Level, err = pades.LevelOf(l.file, l.held[last], all, l.anchors...)
	}
	return held, err
}

// Digest implements Document.
func (l *Local) Digest(_ context.Context, number int, hash crypto.Hash) ([]byte, error) {
	if !hash.Available() {
		return nil, fmt.Errorf("%w: hash %v", ErrInvalid, hash)
	}
	h, r := hash.New(), l.held[number].ByteRange
	for i := 0; i < len(r); i += 2 {
		if n, err := io.Copy(h, io.NewSectionReader(l.file.Reader(), r[i], r[i+1])); err != nil || n != r[i+1] {
			return nil, fmt.Errorf("reading the document: %w", errors.Join(err, ErrInvalid))
		}
	}
	return h.Sum(nil), nil
}

// Embed implements Document: the file as it is stays.
func (l *Local) Embed(context.Context, []byte) error { return ErrNoRoom }

// AddEvidence implements Document.
func (l *Local) AddEvidence(_ context.Context, about []VRI) error {
	store := make([]pades.VRI, 0, len(about))
	for _, v := range about {
		store = append(store, pades.VRI(v))
	}
	update, err := pades.AddEvidence(l.file, store, pades.VRI{}.Evidence)
	if err != nil || update == nil {
		return err
	}
	return l.append(update)
}

func (l *Local) append(update []byte) error {
	f, err := l.file.Append(update)
	if err != nil {
		return err
	}
	l.file = f
	return nil
}

// PrepareTimeStamp implements Document.
func (l *Local) PrepareTimeStamp(_ context.Context, hash crypto.Hash, hole int) ([]byte, error) {
	prepared, err := pades.PrepareTimeStamp(l.file, hole)
	if err != nil {
		return nil, err
	}
	l.prepared = prepared
	return prepared.Layout.Digest(l.file.Reader(), prepared.Update, hash)
}

// CompleteTimeStamp implements Document.
func (l *Local) CompleteTimeStamp(_ context.Context, token []byte) error {
	prepared := l.prepared
	if prepared == nil {
		return errors.New("no document time-stamp was prepared")
	}
	l.prepared = nil
	if err := prepared.Layout.Embed(prepared.Update, token); err != nil {
		if errors.Is(err, pades.ErrTooLarge) {
			return fmt.Errorf("%w: %w", ErrNoRoom, err)
		}
		return err
	}
	return l.append(prepared.Update)
}
