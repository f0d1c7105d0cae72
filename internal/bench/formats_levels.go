package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// levels holds the higher levels against a B-B, time-stamps and answers about
// status made for each in this process. They have no goal: whatever is added is
// verified first, and the document is read anew after each step, so that what a
// level takes grows with what the authorities answer and how long their chains
// are. A citizen waits for none of it.
func (f *Formats) levels(ctx context.Context) ([]Figure, error) {
	original, err := book{pages: 1}.held()
	if err != nil {
		return nil, err
	}
	p, err := f.office.citizen()
	if err != nil {
		return nil, err
	}
	job := work{original: original, options: options()}
	lifts := []struct {
		format string
		lift   func(context.Context, *pen, work, cades.Level) (verify.Input, error)
	}{{"pades", f.liftPDF}, {"cades", f.liftCMS}}
	const n = 10
	var figures []Figure
	for _, l := range lifts {
		took := map[cades.Level][]float64{}
		all := []cades.Level{cades.BB, cades.BT, cades.BLT, cades.BLTA}
		for round := range f.Rounds + 1 {
			for _, level := range all {
				if round == 0 {
					in, err := l.lift(ctx, p, job, level)
					if err != nil {
						return nil, fmt.Errorf("lifting to %s: %w", level, err)
					}
					if err := f.valid(ctx, in); err != nil {
						return nil, fmt.Errorf("lifted to %s: %w", level, err)
					}
					continue
				}
				one, err := spentBy(n, times(n, func() error { _, err := l.lift(ctx, p, job, level); return err }))
				if err != nil {
					return nil, fmt.Errorf("lifting to %s: %w", level, err)
				}
				took[level] = append(took[level], 1000*one)
			}
		}
		for _, level := range all {
			at := fmt.Sprintf("formats/level_%s_%s", l.format, level)
			figures = append(figures, info(at, median(took[level]), "ms"))
			if level != cades.BB {
				figures = append(figures, info(at+"_over_B-B", median(ratios(took[level], took[cades.BB])), "ratio"))
			}
		}
	}
	return figures, nil
}

func (f *Formats) liftPDF(ctx context.Context, p *pen, job work, level cades.Level) (verify.Input, error) {
	if level != cades.BB {
		job.options.Hole = pades.DefaultHole
	}
	if err := p.through(&job); err != nil {
		return verify.Input{}, err
	}
	in := verify.Input{Document: bytes.NewReader(job.signed), Size: int64(len(job.signed))}
	if level == cades.BB {
		return in, nil
	}
	doc := &fresh{work: &job, office: f.office}
	if err := doc.open(); err != nil {
		return in, err
	}
	if _, err := f.office.augmenter.PDF(ctx, doc, level); err != nil {
		return in, err
	}
	in.Document, in.Size = doc.Reader(), doc.Reader().Size()
	return in, nil
}

// fresh is a document that was signed just now: as the service has it, its hole
// has room for a time-stamp still.
type fresh struct {
	*augment.Local

	work   *work
	office *office
}

func (d *fresh) open() (err error) {
	d.Local, err = augment.OpenLocal(bytes.NewReader(d.work.signed), int64(len(d.work.signed)), d.office.root)
	return err
}

// Signatures implements augment.Document.
func (d *fresh) Signatures(ctx context.Context) ([]augment.Held, error) {
	held, err := d.Local.Signatures(ctx)
	if err == nil && d.untouched() {
		held[len(held)-1].Room = d.work.layout.Hole()
	}
	return held, err
}

func (d *fresh) untouched() bool { return d.Reader().Size() == d.work.layout.Size }

// Embed implements augment.Document.
func (d *fresh) Embed(_ context.Context, signature []byte) error {
	if !d.untouched() {
		return augment.ErrNoRoom
	}
	if err := d.work.layout.Embed(d.work.update, signature); err != nil {
		if errors.Is(err, pades.ErrTooLarge) {
			return fmt.Errorf("%w: %w", augment.ErrNoRoom, err)
		}
		return err
	}
	copy(d.work.signed[d.work.layout.Original:], d.work.update)
	return d.open()
}

func (f *Formats) liftCMS(ctx context.Context, p *pen, job work, level cades.Level) (verify.Input, error) {
	digest := sha256.Sum256(job.original)
	der, err := p.sign(cades.Params{
		ContentDigest: digest[:], Hash: crypto.SHA256, Certificate: p.certificate, SigningTime: time.Now(), MimeType: "application/pdf",
	})
	if err != nil {
		return verify.Input{}, err
	}
	in := verify.Input{Content: bytes.NewReader(job.original), ContentSize: int64(len(job.original))}
	if level != cades.BB {
		m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
		if err != nil {
			return in, err
		}
		content := func() (io.Reader, error) { return bytes.NewReader(job.original), nil }
		if _, err := f.office.augmenter.CMS(ctx, m, 0, content, level); err != nil {
			return in, err
		}
		var out bytes.Buffer
		if err := m.Write(&out); err != nil {
			return in, fmt.Errorf("writing a signature: %w", err)
		}
		der = out.Bytes()
	}
	in.Document, in.Size = bytes.NewReader(der), int64(len(der))
	return in, nil
}
