package bench

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"syscall"
	"time"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// Formats measures the signature formats, with keys in memory: what a token
// costs is for Keys to say. Of each kind of signature one is verified before its
// like are timed.
type Formats struct {
	*Keys

	office *office
	worker *documents.Worker
}

// Measure implements House.
func (f *Formats) Measure(ctx context.Context) (figures []Figure, err error) {
	if f.office, err = openOffice(); err != nil {
		return nil, fmt.Errorf("opening an authority: %w", err)
	}
	// The limits of a job are for strangers' documents on machines of any pace.
	f.worker, err = documents.New(ctx, documents.Config{Command: []string{f.Program, "document-worker"}})
	if err != nil {
		return nil, fmt.Errorf("starting a document worker: %w", err)
	}
	return f.measure(ctx, []part{
		{[]string{"formats/pades"}, f.small},
		{[]string{"formats/batch100"}, f.batch100},
		{[]string{"formats/level"}, f.levels},
		{[]string{"formats/pages"}, f.pages},
		{[]string{"formats/large"}, f.large},
	})
}

// pen is what a signer signs with.
type pen struct {
	key         crypto.Signer
	certificate *x509.Certificate
	chain       []*x509.Certificate
}

// params are those of a signature over a digest by SHA-256.
func (p *pen) params(digest []byte) cades.Params {
	return cades.Params{ContentDigest: digest, Hash: crypto.SHA256, Certificate: p.certificate, PAdES: true}
}

func (p *pen) raw(digest []byte) ([]byte, error) {
	return p.key.Sign(rand.Reader, digest, cms.SignerOpts(crypto.SHA256, "", p.key.Public()))
}

func (p *pen) assemble(attributes, value []byte) ([]byte, error) {
	return cms.Assemble(cms.Parts{
		SignedAttributes: attributes, Signature: value, Certificate: p.certificate, Chain: p.chain, Hash: crypto.SHA256,
	})
}

// sign makes a detached CMS signature.
func (p *pen) sign(params cades.Params) ([]byte, error) {
	attributes, err := cades.SignedAttributes(params)
	if err != nil {
		return nil, err
	}
	value, err := p.raw(cades.DTBSR(attributes, crypto.SHA256))
	if err != nil {
		return nil, err
	}
	return p.assemble(attributes, value)
}

// work is a PDF on its way to its signature, from one stage to the next.
type work struct {
	original []byte
	options  pades.Options

	update            []byte
	layout            pades.Layout
	digest            []byte
	attributes, value []byte
	cms               []byte
	signed            []byte
}

// stage is a step of all signatures of PDFs.
type stage struct {
	name string
	do   func(p *pen, w *work) error
}

// stages are all from the document as it came to the signed one.
func stages() []stage {
	return []stage{
		{"prepare", (*pen).prepare},
		{"digest", func(_ *pen, w *work) (err error) {
			if err := w.layout.FixTime(w.update, w.options.Time); err != nil {
				return err
			}
			w.digest, err = w.layout.Digest(bytes.NewReader(w.original), w.update, crypto.SHA256)
			return err
		}},
		{"attributes", func(p *pen, w *work) (err error) {
			w.attributes, err = cades.SignedAttributes(p.params(w.digest))
			return err
		}},
		{"key", func(p *pen, w *work) (err error) {
			w.value, err = p.raw(cades.DTBSR(w.attributes, crypto.SHA256))
			return err
		}},
		{"assemble", func(p *pen, w *work) (err error) {
			w.cms, err = p.assemble(w.attributes, w.value)
			return err
		}},
		{"embed", func(_ *pen, w *work) error {
			if err := w.layout.Embed(w.update, w.cms); err != nil {
				return err
			}
			w.signed = append(append(make([]byte, 0, len(w.original)+len(w.update)), w.original...), w.update...)
			return nil
		}},
	}
}

// prepare is what the document worker does, but for looking at what the document
// has in it.
func (*pen) prepare(w *work) error {
	f, err := pdf.Open(bytes.NewReader(w.original), int64(len(w.original)))
	if err != nil {
		return err
	}
	prepared, err := pades.Prepare(f, w.options)
	if err != nil {
		return err
	}
	w.update, w.layout = prepared.Update, prepared.Layout
	return nil
}

// through takes a PDF through all stages.
func (p *pen) through(w *work) error {
	for _, s := range stages() {
		if err := s.do(p, w); err != nil {
			return fmt.Errorf("signing a PDF, %s: %w", s.name, err)
		}
	}
	return nil
}

// check is what the service demands of a signature before it lets it out.
func (p *pen) check(w *work) error {
	if err := w.layout.Verify(bytes.NewReader(w.original), w.update, p.certificate); err != nil {
		return err
	}
	return cms.CrossCheckDigest(w.cms, w.digest)
}

// options are those that the service has for a B-B that nobody sees.
func options() pades.Options {
	return pades.Options{
		Reason: "Solicitud de ayuda", Location: "Madrid", Time: time.Now().UTC().Truncate(time.Second),
		Hole: pades.DefaultHole - pades.TokenRoom,
	}
}

// spentBy is the processor time, in seconds, that one of n took of this process
// and of children that have ended.
func spentBy(n int, do func() error) (float64, error) {
	before := family()
	if err := do(); err != nil {
		return 0, err
	}
	return (family() - before).Seconds() / float64(n), nil
}

func family() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		return own()
	}
	return own() + time.Duration(usage.Utime.Nano()+usage.Stime.Nano())
}

// times does something so often.
func times(n int, do func() error) func() error {
	return func() error {
		for range n {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
}
