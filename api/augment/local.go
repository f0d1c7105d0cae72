package augment

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	pades "github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// Local is a Document in this process, for commands of operators on files of
// theirs. What was there stays, octet by octet; all that is added stands behind.
// It is for one goroutine.
type Local struct {
	file     *pdf.File
	anchors  []*x509.Certificate
	held     []Held
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

// Signatures implements Document.
func (l *Local) Signatures(context.Context) ([]Held, error) {
	var err error
	l.held, err = Signatures(l.file, l.anchors)
	return l.held, err
}

// Signatures tells what a PDF holds, as Document has it. Usage rights are
// nobody's signatures of the document. A chain that ends at one of the anchors
// is whole.
func Signatures(f *pdf.File, anchors []*x509.Certificate) ([]Held, error) {
	all, err := pades.Signatures(f)
	if err != nil {
		return nil, err
	}
	var (
		held []Held
		last *pades.Signature // the level of the others nobody asks for
		at   int
	)
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
			last, at = s, len(held)
		}
		held = append(held, Held{CMS: der, Contents: s.Contents, ByteRange: s.ByteRange, TimeStamp: stamp, Whole: s.Whole})
	}
	if last != nil {
		held[at].Level, err = pades.LevelOf(f, last, all, anchors...)
	}
	return held, err
}

// Digest implements Document.
func (l *Local) Digest(_ context.Context, number int, hash crypto.Hash) ([]byte, error) {
	if !hash.Available() {
		return nil, fmt.Errorf("%w: hash %v", ErrInvalid, hash)
	}
	h, r := hash.New(), l.held[number].ByteRange
	for _, part := range [][2]int64{{r[0], r[1]}, {r[2], r[3]}} {
		if n, err := io.Copy(h, io.NewSectionReader(l.file.Reader(), part[0], part[1])); err != nil || n != part[1] {
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
