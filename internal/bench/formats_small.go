package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// oursLimit is what one signature may cost beyond its key operation, in
// milliseconds.
const oursLimit = 0.5

// small signs a PDF of one page with keys in memory, stage by stage.
func (f *Formats) small(ctx context.Context) ([]Figure, error) {
	original, err := book{pages: 1}.held()
	if err != nil {
		return nil, err
	}
	curve, err := f.office.citizen()
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	modulus, err := f.office.certify(key)
	if err != nil {
		return nil, err
	}
	job := work{original: original, options: options()}
	p256, err := f.compare(ctx, curve, job, hundred)
	if err != nil {
		return nil, err
	}
	rsa3072, err := f.compare(ctx, modulus, job, hundred/5)
	if err != nil {
		return nil, err
	}
	around, err := f.around(ctx, curve, job)
	if err != nil {
		return nil, err
	}
	figures := []Figure{
		info("formats/pades_p256_raw", p256.raw, "ms"),
		below("formats/pades_p256_ours", p256.ours, oursLimit, "ms"),
		info("formats/pades_p256_ours_collecting_garbage", p256.collecting, "ms"),
	}
	for _, s := range stages() {
		figures = append(figures, info("formats/pades_p256_"+s.name, p256.stages[s.name], "ms"))
	}
	return append(append(figures,
		info("formats/pades_p256_per_second_and_core", 1000/p256.whole, "1/s"),
		info("formats/pades_p256_over_raw", p256.ratio, "ratio"),
		info("formats/pades_rsa3072_raw", rsa3072.raw, "ms"),
		info("formats/pades_rsa3072_ours", rsa3072.ours, "ms"),
		info("formats/pades_rsa3072_over_raw", rsa3072.ratio, "ratio")), around...), nil
}

// compared is one signature against its key operation, in milliseconds.
type compared struct {
	whole, raw, ours float64
	collecting       float64 // ours, and this process's garbage
	ratio            float64 // of raw to whole: how much of the processor signs
	stages           map[string]float64
}

// compare signs n documents one by one, and as many digests with nothing around;
// and then once more, each stage for all documents, for what part each has.
func (f *Formats) compare(ctx context.Context, p *pen, job work, n int) (compared, error) {
	if err := f.proven(ctx, p, job); err != nil {
		return compared{}, err
	}
	var whole, raw, ours, collecting, ratio []float64
	took := map[string][]float64{}
	digest := sha256.Sum256(job.original)
	signing := times(n, func() error { w := job; return p.through(&w) })
	for range 3 * f.Rounds {
		littered, err := spentBy(n, signing)
		if err != nil {
			return compared{}, err
		}
		var bare, signed float64
		if err := uncollected(func() (err error) {
			if bare, err = spentBy(n, times(n, func() error { _, err := p.raw(digest[:]); return err })); err != nil {
				return fmt.Errorf("signing bare: %w", err)
			}
			if signed, err = spentBy(n, signing); err != nil {
				return err
			}
			return p.apart(job, n, took)
		}); err != nil {
			return compared{}, err
		}
		whole, raw, ratio = append(whole, 1000*signed), append(raw, 1000*bare), append(ratio, bare/signed)
		ours, collecting = append(ours, 1000*(signed-bare)), append(collecting, 1000*(littered-bare))
	}
	c := compared{
		whole: median(whole), raw: median(raw), ours: median(ours), collecting: median(collecting), ratio: median(ratio),
		stages: map[string]float64{},
	}
	for name, values := range took {
		c.stages[name] = median(values)
	}
	return c, nil
}

// uncollected does something without collecting garbage, as the document worker
// does its job: it has most of the work. What a collection takes depends on all
// else that a process has in its memory.
func uncollected(do func() error) error {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	return do()
}

// apart adds what each stage took of one document, in milliseconds.
func (p *pen) apart(job work, n int, took map[string][]float64) error {
	jobs := slices.Repeat([]work{job}, n)
	for _, s := range stages() {
		one, err := spentBy(n, func() error {
			for i := range jobs {
				if err := s.do(p, &jobs[i]); err != nil {
					return fmt.Errorf("signing a PDF, %s: %w", s.name, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		took[s.name] = append(took[s.name], 1000*one)
	}
	return nil
}

// proven signs once, and has it verified by all who can.
func (f *Formats) proven(ctx context.Context, p *pen, job work) error {
	if err := p.through(&job); err != nil {
		return err
	}
	if err := p.check(&job); err != nil {
		return fmt.Errorf("checking a signature: %w", err)
	}
	return f.valid(ctx, verify.Input{Document: bytes.NewReader(job.signed), Size: int64(len(job.signed))})
}

// valid demands one signature, which this office's answers about status prove.
func (f *Formats) valid(ctx context.Context, in verify.Input) error {
	v := verify.Verifier{Trust: []*x509.Certificate{f.office.root}, Fetch: f.office, Now: time.Now}
	report, err := v.File(ctx, in)
	if err != nil {
		return fmt.Errorf("verifying: %w", err)
	}
	if report.Indication != verify.Passed || len(report.Signatures) != 1 {
		return fmt.Errorf("%d signatures are not valid: %s %s %s", len(report.Signatures), report.Indication, report.SubIndication, report.Reason)
	}
	return nil
}

// around measures what else is done to a document, of which one has the time that
// it takes with a check, a look, a stamp, or a child.
func (f *Formats) around(ctx context.Context, p *pen, job work) ([]Figure, error) {
	const n = 20
	visible := job
	visible.options.Stamp = &stamp.Options{
		Page: -1, Place: stamp.BottomRight, Name: "JUAN ESPAÑOL ESPAÑOL", Identifier: "***0000**", Reason: "Solicitud de ayuda",
		Organisation: "Administración de medida", CSV: "ABCD-EFGH-IJKL-MNOP", URL: base + "/csv/ABCD-EFGH-IJKL-MNOP", Time: job.options.Time,
	}
	if err := f.proven(ctx, p, visible); err != nil {
		return nil, fmt.Errorf("signing visibly: %w", err)
	}
	signed := job
	if err := p.through(&signed); err != nil {
		return nil, err
	}
	file, err := documents.HeldFile(job.original)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	acts := []struct {
		name string
		do   func() error
	}{
		{"plain", func() error { w := job; return p.through(&w) }},
		{"stamped", func() error { w := visible; return p.through(&w) }},
		{"check", func() error { return p.check(&signed) }},
		{"inspect", func() error { return inspected(signed.signed) }},
		{"verify", func() error {
			return f.valid(ctx, verify.Input{Document: bytes.NewReader(signed.signed), Size: int64(len(signed.signed))})
		}},
		{"worker", func() error { _, err := f.worker.Prepare(ctx, file, job.options); return err }},
	}
	took := map[string][]float64{}
	for range f.Rounds {
		for _, a := range acts {
			one, err := spentBy(n, times(n, a.do))
			if err != nil {
				return nil, fmt.Errorf("measuring %s: %w", a.name, err)
			}
			took[a.name] = append(took[a.name], 1000*one)
		}
	}
	return []Figure{
		info("formats/pades_stamp_extra", median(took["stamped"])-median(took["plain"]), "ms"),
		info("formats/pades_check_before_leaving", median(took["check"]), "ms"),
		info("formats/pades_inspect", median(took["inspect"]), "ms"),
		info("formats/pades_verify", median(took["verify"]), "ms"),
		info("formats/pades_prepare_in_worker", median(took["worker"]), "ms"),
	}, nil
}

func inspected(document []byte) error {
	f, err := pdf.Open(bytes.NewReader(document), int64(len(document)))
	if err != nil {
		return err
	}
	_, err = inspect.File(f)
	return err
}

// batch100 holds a hundred documents in one batch, whose state is kept in
// between as a database keeps it, against a hundred documents one by one.
func (f *Formats) batch100(context.Context) ([]Figure, error) {
	original, err := book{pages: 1}.held()
	if err != nil {
		return nil, err
	}
	p, err := f.office.citizen()
	if err != nil {
		return nil, err
	}
	job := work{original: original, options: options()}
	var single, together, ratio []float64
	for range 3 * f.Rounds {
		one, err := spentBy(hundred, times(hundred, func() error { w := job; return p.kept(&w, 1) }))
		if err != nil {
			return nil, err
		}
		many, err := spentBy(hundred, func() error { w := job; return p.kept(&w, hundred) })
		if err != nil {
			return nil, err
		}
		single, together, ratio = append(single, 1000*one), append(together, 1000*many), append(ratio, one/many)
	}
	return []Figure{
		info("formats/batch100_single", median(single), "ms"),
		info("formats/batch100_together", median(together), "ms"),
		// What one signature costs does not grow with those that wait beside it.
		above("formats/batch100_over_single", median(ratio), 0.90),
	}, nil
}

// row is what of a prepared document waits for the consent.
type row struct{ layout, update []byte }

// kept prepares n documents, then signs them all, and checks each.
func (p *pen) kept(job *work, n int) error {
	rows := make([]row, n)
	for i := range rows {
		w := *job
		if err := p.prepare(&w); err != nil {
			return err
		}
		layout, err := json.Marshal(w.layout)
		if err != nil {
			return fmt.Errorf("keeping a layout: %w", err)
		}
		rows[i] = row{layout, bytes.Clone(w.update)}
	}
	for _, r := range rows {
		w := *job
		w.update = r.update
		if err := json.Unmarshal(r.layout, &w.layout); err != nil {
			return fmt.Errorf("reading a layout: %w", err)
		}
		for _, s := range stages()[1:] {
			if err := s.do(p, &w); err != nil {
				return fmt.Errorf("signing a PDF, %s: %w", s.name, err)
			}
		}
		if err := p.check(&w); err != nil {
			return errors.Join(errors.New("a signature of a batch is not valid"), err)
		}
	}
	return nil
}
