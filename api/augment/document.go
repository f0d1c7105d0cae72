package augment

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ErrNoRoom is a Document's answer to what does not fit into its place.
var ErrNoRoom = errors.New("no room in the document")

// Document is a PDF file, to which a method may add only behind what there is,
// but for Embed. What a method has added stays if a later one fails.
type Document interface {
	// Signatures tells the signatures and document time-stamps, oldest first.
	Signatures(ctx context.Context) ([]Held, error)
	// Digest hashes what the ByteRange of one of them covers, by its number.
	Digest(ctx context.Context, number int, hash crypto.Hash) ([]byte, error)
	// Embed puts a signature that has gained unsigned attributes into the place of
	// the last, if nothing stands behind it yet; where that cannot be, or it does
	// not fit, it is ErrNoRoom and nothing has changed.
	Embed(ctx context.Context, signature []byte) error
	// AddEvidence adds to the document security store.
	AddEvidence(ctx context.Context, about []VRI) error
	// PrepareTimeStamp prepares a document time-stamp with a hole for so many
	// octets, and gives the digest to be stamped. CompleteTimeStamp fills it;
	// ErrNoRoom leaves nothing of it. Another PrepareTimeStamp forgets it.
	PrepareTimeStamp(ctx context.Context, hash crypto.Hash, hole int) ([]byte, error)
	CompleteTimeStamp(ctx context.Context, token []byte) error
}

// Held is a signature or document time-stamp that a document holds.
type Held struct {
	CMS []byte // without padding
	// Contents is the octet string that VRI is named by, with padding.
	Contents []byte
	// ByteRange is what it covers.
	ByteRange [4]int64
	// TimeStamp is whether it is a document time-stamp.
	TimeStamp bool
	// Whole is whether it covers all of the document as it was then, but for its
	// own Contents.
	Whole bool
	// Room is how many octets fit into its place; 0 if nothing may be put there
	// any more.
	Room int
	// Level is that of a signature, by what stands in the document.
	Level cades.Level
}

// VRI is evidence about the signature or time-stamp with those Contents.
type VRI struct {
	Contents []byte
	cades.Evidence
}

// tokenHole is what a document time-stamp has room for at first.
const tokenHole = 8 << 10

// PDF lifts the last signature of a document. Where its hole has no room for a
// time-stamp, a document time-stamp does for B-T as well (EN 319 142-1, 6.3). An
// archive is renewed if its last time-stamp ends soon.
func (a *Augmenter) PDF(ctx context.Context, doc Document, want cades.Level) (cades.Level, error) {
	f, err := a.read(ctx, doc)
	if err != nil {
		return "", err
	}
	if !want.Known() {
		return f.level(), fmt.Errorf("%w: %q", ErrLevel, want)
	}
	if err := f.check(ctx); err != nil {
		return f.level(), err
	}
	err = f.lift(ctx, want)
	after, readErr := a.read(ctx, doc)
	if readErr != nil {
		return "", errors.Join(err, readErr)
	}
	reached := after.level()
	if err == nil && !reached.AtLeast(want) {
		err = fmt.Errorf("%w: %s instead of %s", ErrShort, reached, want)
	}
	return reached, err
}

// file is a document at work.
type file struct {
	*Augmenter

	doc     Document
	held    []Held
	last    int // the last signature
	message *cms.Message
}

func (a *Augmenter) read(ctx context.Context, doc Document) (*file, error) {
	held, err := doc.Signatures(ctx)
	if err != nil {
		return nil, err
	}
	f := &file{Augmenter: a, doc: doc, held: held, last: -1}
	for i, h := range held {
		if !h.TimeStamp {
			f.last = i
		}
	}
	if f.last < 0 {
		return nil, fmt.Errorf("%w: there is none in the document", ErrInvalid)
	}
	der := held[f.last].CMS
	if f.message, err = cms.Open(bytes.NewReader(der), int64(len(der))); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return f, nil
}

// again reads the document anew after something was added.
func (f *file) again(ctx context.Context) error {
	now, err := f.read(ctx, f.doc)
	if err == nil {
		*f = *now
	}
	return err
}

func (f *file) level() cades.Level { return f.held[f.last].Level }

// check demands that the signature verifies, and that the time-stamps behind it
// are of this document.
func (f *file) check(ctx context.Context) error {
	if f.level() == "" || !f.held[f.last].Whole || len(f.message.Signers) != 1 {
		return fmt.Errorf("%w: no baseline signature", ErrInvalid)
	}
	digest, err := f.doc.Digest(ctx, f.last, f.message.Signers[0].Hash)
	if err != nil {
		return fmt.Errorf("hashing the document: %w", err)
	}
	if err := sound(f.message, 0, digest); err != nil {
		return err
	}
	for i := f.last + 1; i < len(f.held); i++ {
		stamp, err := tsa.Read(f.held[i].CMS)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if digest, err = f.doc.Digest(ctx, i, stamp.Hash); err != nil {
			return fmt.Errorf("hashing the document: %w", err)
		}
		if !f.held[i].Whole || !bytes.Equal(digest, stamp.Digest) {
			return fmt.Errorf("%w: a document time-stamp is another's", ErrInvalid)
		}
	}
	return nil
}

// lift adds level by level.
func (f *file) lift(ctx context.Context, want cades.Level) error {
	if want.AtLeast(cades.BT) && !f.level().AtLeast(cades.BT) {
		if err := f.stampInside(ctx); err != nil {
			return err
		}
	}
	if want.AtLeast(cades.BLT) && !f.level().AtLeast(cades.BLT) {
		if err := f.prove(ctx); err != nil {
			return err
		}
	}
	if !want.AtLeast(cades.BLTA) {
		return nil
	}
	if f.level().AtLeast(cades.BLTA) {
		due, err := f.due()
		if err != nil || !due {
			return err
		}
		if err := f.prove(ctx); err != nil { // of the last time-stamp
			return err
		}
	}
	return f.stampBehind(ctx)
}

// stampInside adds a signature-time-stamp where it fits, or else a document
// time-stamp.
func (f *file) stampInside(ctx context.Context) error {
	if h := f.held[f.last]; f.last == len(f.held)-1 && h.Room > len(h.CMS) {
		if err := f.stamp(ctx, f.message, 0); err != nil {
			return err
		}
		var signature bytes.Buffer
		if err := f.message.Write(&signature); err != nil {
			return fmt.Errorf("writing the signature: %w", err)
		}
		err := f.doc.Embed(ctx, signature.Bytes())
		if err == nil {
			return f.again(ctx)
		}
		if !errors.Is(err, ErrNoRoom) {
			return fmt.Errorf("embedding the signature: %w", err)
		}
	}
	return f.stampBehind(ctx)
}

// stampBehind adds a document time-stamp. One for which there is no room is asked
// for again, with as much as it takes.
func (f *file) stampBehind(ctx context.Context) error {
	hole := tokenHole
	for range 2 {
		digest, err := f.doc.PrepareTimeStamp(ctx, f.Hash, hole)
		if err != nil {
			return fmt.Errorf("preparing a document time-stamp: %w", err)
		}
		token, err := f.Stamper.TimeStamp(ctx, f.Hash, digest)
		if err != nil {
			return err
		}
		err = f.doc.CompleteTimeStamp(ctx, token)
		if err == nil {
			return f.again(ctx)
		}
		if !errors.Is(err, ErrNoRoom) {
			return fmt.Errorf("completing a document time-stamp: %w", err)
		}
		hole = len(token) + 1<<10
	}
	return fmt.Errorf("%w for a time-stamp", ErrNoRoom)
}

// dated is a time-stamp that dates the signature.
type dated struct {
	*tsa.Stamp

	contents []byte // of what it stands in: the signature, or itself
}

// stamps are those inside the signature and behind it, the oldest first.
func (f *file) stamps() ([]dated, error) {
	inside, err := cades.TimeStamps(f.message, 0)
	if err != nil {
		return nil, err
	}
	var out []dated
	add := func(token, contents []byte) error {
		stamp, err := tsa.Read(token, f.message.Certificates...)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		out = append(out, dated{stamp, contents})
		return nil
	}
	for _, t := range inside {
		if t.Kind == cades.SignatureTimeStamp {
			if err := add(t.Token, f.held[f.last].Contents); err != nil {
				return nil, err
			}
		}
	}
	for _, h := range f.held[f.last+1:] {
		if err := add(h.CMS, h.Contents); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no time-stamp", ErrShort)
	}
	return out, nil
}

// prove adds the evidence of the signer, unless the document has it, and of the
// time-stamps; of an archive, that of the last, since the last covers the rest.
func (f *file) prove(ctx context.Context) error {
	stamps, err := f.stamps()
	if err != nil {
		return err
	}
	known := cades.EvidenceOf(f.message)
	var about []VRI
	if f.level().AtLeast(cades.BLTA) {
		stamps = stamps[len(stamps)-1:]
	} else {
		certificate := f.message.Signers[0].Certificate(f.message.Certificates)
		e, err := f.Evidence.Collect(ctx, Wanted{Certificate: certificate, Used: stamps[0].Time, Signer: true, Known: known})
		if err != nil {
			return err
		}
		about = append(about, VRI{Contents: f.held[f.last].Contents, Evidence: e})
	}
	for _, stamp := range stamps {
		e, err := f.ofStamps(ctx, []*tsa.Stamp{stamp.Stamp}, known)
		if err != nil {
			return err
		}
		about = append(about, VRI{Contents: stamp.contents, Evidence: e})
	}
	if err := f.doc.AddEvidence(ctx, merged(about)); err != nil {
		return fmt.Errorf("adding evidence: %w", err)
	}
	return f.again(ctx)
}

// merged has each Contents once.
func merged(about []VRI) []VRI {
	var out []VRI
next:
	for _, v := range about {
		for i := range out {
			if bytes.Equal(out[i].Contents, v.Contents) {
				out[i].Evidence = out[i].Merge(v.Evidence)
				continue next
			}
		}
		out = append(out, v)
	}
	return out
}

// due is whether the last time-stamp ends soon.
func (f *file) due() (bool, error) {
	stamps, err := f.stamps()
	if err != nil {
		return false, err
	}
	return f.ends(stamps[len(stamps)-1].Stamp), nil
}

// RenewPDF is when the archive of a document is due to be renewed: PDF does it
// then, and not before.
func (a *Augmenter) RenewPDF(ctx context.Context, doc Document) (time.Time, error) {
	f, err := a.read(ctx, doc)
	if err != nil {
		return time.Time{}, err
	}
	stamps, err := f.stamps()
	if err != nil {
		return time.Time{}, err
	}
	return stamps[len(stamps)-1].Signer.NotAfter.Add(-a.Renew), nil
}
