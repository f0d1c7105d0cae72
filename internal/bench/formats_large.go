package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

const (
	// largeImage makes a document of a little less than the most that is taken.
	largeImage = 100_000_000
	// memoryLimit is what a document of that size may take more than a small
	// one, in MiB.
	memoryLimit = 64
)

// large signs a document of 100 MB: how much more memory that takes than a small
// one, and how much of the time is hashing.
func (f *Formats) large(ctx context.Context) (figures []Figure, err error) {
	p, err := f.office.citizen()
	if err != nil {
		return nil, err
	}
	small, err := f.onDisk(book{pages: 1})
	if err != nil {
		return nil, err
	}
	defer small.Close()
	big, err := f.onDisk(book{pages: 1, image: largeImage})
	if err != nil {
		return nil, err
	}
	defer big.Close()
	for _, w := range []struct {
		name string
		way  way
	}{{"pades", f.largePDF}, {"cades_detached", f.largeDetached}, {"cades_attached", f.largeAttached}} {
		more, err := f.way(ctx, p, w.name, w.way, small, big)
		if err != nil {
			return nil, fmt.Errorf("signing 100 MB as %s: %w", w.name, err)
		}
		figures = append(figures, more...)
	}
	grown, err := f.workerGrowth(ctx, small, big)
	if err != nil {
		return nil, err
	}
	return append(figures, below("formats/large_worker_memory_growth", grown, memoryLimit, "MiB")), nil
}

// onDisk makes a document in the environment's directory and takes it in from
// there, as it comes from a database.
func (f *Formats) onDisk(b book) (_ *documents.File, err error) {
	path := filepath.Join(f.Dir, "large.pdf")
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	file, err := b.file(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it is read only from here on
	return documents.NewFile(file)
}

// way is from a document that was taken in to a signed one that can be sent.
type way func(ctx context.Context, p *pen, in *documents.File) (signed *documents.File, err error)

// way measures one: its processor time against that of hashing alone, and the
// memory that it takes of this process.
func (f *Formats) way(ctx context.Context, p *pen, name string, do way, small, big *documents.File) ([]Figure, error) {
	for _, in := range []*documents.File{small, big} {
		if err := f.provenLarge(ctx, p, do, in); err != nil {
			return nil, err
		}
	}
	signs := func(in *documents.File) func() error {
		return func() error {
			signed, err := do(ctx, p, in)
			if err == nil {
				signed.Close()
			}
			return err
		}
	}
	var hashed, ours, elapsed, ratio, grown []float64
	for range f.Rounds {
		limit, err := spentBy(1, func() error { _, err := io.Copy(sha256.New(), big.Reader()); return err })
		if err != nil {
			return nil, fmt.Errorf("hashing: %w", err)
		}
		began := time.Now()
		whole, err := spentBy(1, signs(big))
		if err != nil {
			return nil, err
		}
		hashed, ours, ratio = append(hashed, 1000*limit), append(ours, 1000*whole), append(ratio, limit/whole)
		elapsed = append(elapsed, 1000*time.Since(began).Seconds())
		little, err := ownPeak(signs(small))
		if err != nil {
			return nil, err
		}
		much, err := ownPeak(signs(big))
		if err != nil {
			return nil, err
		}
		grown = append(grown, much-little)
	}
	at := "formats/large_" + name
	return []Figure{
		info(at+"_hash_alone", median(hashed), "ms"),
		info(at+"_sign", median(ours), "ms"),
		info(at+"_sign_elapsed", median(elapsed), "ms"),
		above(at+"_hash_over_sign", median(ratio), 0.5),
		below(at+"_memory_growth", median(grown), memoryLimit, "MiB"),
	}, nil
}

// provenLarge signs once and has it verified.
func (f *Formats) provenLarge(ctx context.Context, p *pen, do way, in *documents.File) error {
	signed, err := do(ctx, p, in)
	if err != nil {
		return err
	}
	defer signed.Close()
	m, err := cms.Open(signed, signed.Size())
	if err != nil { // a PDF
		return f.valid(ctx, verify.Input{Document: signed, Size: signed.Size()})
	}
	var content io.Reader
	if !m.Attached() {
		content = in.Reader()
	}
	digests, err := m.Digests(content)
	if err != nil {
		return err
	}
	return m.Signers[0].Verify(p.certificate, digests[crypto.SHA256])
}

// largePDF has the worker prepare, hashes, signs and writes out.
func (f *Formats) largePDF(ctx context.Context, p *pen, in *documents.File) (*documents.File, error) {
	prepared, err := f.worker.Prepare(ctx, in, options())
	if err != nil {
		return nil, err
	}
	hashed, err := in.Hashed()
	if err != nil {
		return nil, err
	}
	digest, err := prepared.Layout.DigestBehind(hashed, prepared.Update)
	if err != nil {
		return nil, err
	}
	signature, err := p.sign(p.params(digest))
	if err != nil {
		return nil, err
	}
	if err := prepared.Layout.Embed(prepared.Update, signature); err != nil {
		return nil, err
	}
	return documents.Assemble(func(out *documents.File) error {
		if err := out.Append(in); err != nil {
			return err
		}
		_, err := out.Write(prepared.Update)
		return err
	})
}

// detached signs the hash that is known since the document was taken in.
func (p *pen) detached(in *documents.File) ([]byte, error) {
	digest, err := in.SHA256()
	if err != nil {
		return nil, err
	}
	return p.sign(cades.Params{
		ContentDigest: digest, Hash: crypto.SHA256, Certificate: p.certificate, SigningTime: time.Now(), MimeType: "application/pdf",
	})
}

// largeDetached takes the document in, since nothing else of it takes time.
func (f *Formats) largeDetached(_ context.Context, p *pen, in *documents.File) (*documents.File, error) {
	taken, err := documents.NewFile(in.Reader())
	if err != nil {
		return nil, err
	}
	defer taken.Close()
	signature, err := p.detached(taken)
	if err != nil {
		return nil, err
	}
	return documents.HeldFile(signature)
}

func (f *Formats) largeAttached(_ context.Context, p *pen, in *documents.File) (*documents.File, error) {
	signature, err := p.detached(in)
	if err != nil {
		return nil, err
	}
	m, err := cms.Open(bytes.NewReader(signature), int64(len(signature)))
	if err != nil {
		return nil, err
	}
	return documents.Assemble(func(out *documents.File) error {
		return m.WriteAttached(out, in.Reader(), in.Size())
	})
}
