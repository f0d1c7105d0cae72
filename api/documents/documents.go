// Package documents does everything that parses or draws an untrusted document,
// in a short-lived child process with limits on memory, processor time and
// files, no network, and nothing in its environment. Whatever happens to the
// child, the process that asked gets an answer or a refusal.
//
// The child cannot change a document: it only says what is to be appended, and
// where things are in that is checked. It reads the document through a descriptor
// and never holds it.
package documents

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

const (
	// busyRetry is what those are told who find no place.
	busyRetry = 5 * time.Second
	maxText   = 1 << 20
	maxImage  = 32 << 20
	maxDPI    = 300
	minDPI    = 20
)

// Limits bound one job.
type Limits struct {
	// Memory is the address space in octets beyond what a Go program
	// reserves at its start.
	Memory int64
	// CPU is processor time, to the second.
	CPU time.Duration
	// Wall is the time until the job's processes are killed.
	Wall time.Duration
}

// Config is what a Worker needs.
type Config struct {
	// Command starts the child, which has to call Main: the binary's own
	// path and "document-worker".
	Command []string
	// Limits of 0 take the defaults.
	Limits Limits
	// Concurrency is how many jobs run at once, 0 for 4; Wait is how long
	// another one waits for a place before it is told that the service is
	// busy, 0 for two seconds.
	Concurrency int
	Wait        time.Duration
}

// Worker runs jobs. It is safe for concurrent use.
type Worker struct {
	command   []string
	limits    Limits
	wait      time.Duration
	places    chan struct{}
	isolation Isolation
}

// Facts are what is known of a document before it is signed.
type Facts struct {
	pades.Facts
	Findings []policies.Finding `json:"findings,omitempty"`
}

// Prepared is what an empty signature appends to a document: ready for its claimed
// time and its digest, or for the token of a time-stamp.
type Prepared struct {
	Facts

	Update []byte
	Layout pades.Layout
}

// New makes a Worker and finds out, once, how far children can be isolated here.
func New(ctx context.Context, c Config) (*Worker, error) {
	if len(c.Command) == 0 {
		return nil, errors.New("starting a document worker: no command")
	}
	for program, pkg := range map[string]string{"pdftoppm": "poppler-utils", "pdftotext": "poppler-utils", "prlimit": "util-linux", "setpriv": "util-linux", "unshare": "util-linux"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is not installed (Debian and Ubuntu: apt-get install %s): %w", program, pkg, err)
		}
	}
	w := &Worker{
		command: c.Command,
		wait:    orElse(c.Wait, 2*time.Second),
		places:  make(chan struct{}, orElse(c.Concurrency, 4)),
		limits: Limits{
			Memory: orElse(c.Limits.Memory, 512<<20),
			CPU:    orElse(c.Limits.CPU, 10*time.Second),
			Wall:   orElse(c.Limits.Wall, 20*time.Second),
		},
	}
	for _, isolation := range []Isolation{Namespaces, ProcessOnly} {
		w.isolation = isolation
		err := w.probe(ctx)
		if err == nil {
			return w, nil
		}
		if isolation == ProcessOnly {
			return nil, fmt.Errorf("probing the document worker: %w", err)
		}
	}
	return w, nil
}

// Isolation says what separates the children from the rest of the machine.
func (w *Worker) Isolation() Isolation { return w.isolation }

// Inspect says what is in a PDF, or answers with a *policies.Refusal.
func (w *Worker) Inspect(ctx context.Context, f *File) (Facts, error) {
	answer, _, err := w.ask(ctx, job{Kind: kindInspect}, f)
	if err != nil {
		return Facts{}, err
	}
	return answer.Facts, nil
}

// Prepare makes an empty signature for a PDF, or answers with a
// *policies.Refusal.
func (w *Worker) Prepare(ctx context.Context, f *File, o pades.Options) (*Prepared, error) {
	// What a look at the size decides needs no process.
	if f.Size() == 0 {
		return nil, policies.Refuse(policies.DocumentEmpty)
	}
	return w.prepare(ctx, f, job{Kind: kindPrepare, Options: o})
}

// PrepareTimeStamp makes an empty document time-stamp for a PDF.
func (w *Worker) PrepareTimeStamp(ctx context.Context, f *File, hole int) (*Prepared, error) {
	return w.prepare(ctx, f, job{Kind: kindTimeStamp, Hole: hole})
}

// prepare believes the child only that its update is laid out as it says, behind
// this very document.
func (w *Worker) prepare(ctx context.Context, f *File, j job) (*Prepared, error) {
	answer, update, err := w.ask(ctx, j, f)
	if err != nil {
		return nil, err
	}
	sum, err := f.SHA256()
	if err != nil {
		return nil, err
	}
	if answer.Layout.Original != f.Size() || !bytes.Equal(answer.Layout.SHA256, sum) {
		return nil, fmt.Errorf("reading the document worker's answer: %w", pades.ErrLayout)
	}
	if err := answer.Layout.Check(update); err != nil {
		return nil, fmt.Errorf("reading the document worker's answer: %w", err)
	}
	return &Prepared{Facts: answer.Facts, Update: update, Layout: answer.Layout}, nil
}

// Signatures are the signatures and time-stamps of a PDF. A chain that ends at
// one of the anchors is whole.
func (w *Worker) Signatures(ctx context.Context, f *File, anchors []*x509.Certificate) ([]augment.Held, error) {
	answer, _, err := w.ask(ctx, job{Kind: kindSignatures, Anchors: raw(anchors)}, f)
	if err != nil {
		return nil, err
	}
	return answer.Signatures, nil
}

// AddEvidence gives what is to be appended to a PDF so that it holds validation
// data. Nothing to add is nothing.
func (w *Worker) AddEvidence(ctx context.Context, f *File, about []augment.VRI) ([]byte, error) {
	j := job{Kind: kindEvidence}
	for _, v := range about {
		j.Evidence = append(j.Evidence, evidence{
			Contents: v.Contents, Certificates: raw(v.Certificates), OCSPs: v.OCSPs, CRLs: v.CRLs,
		})
	}
	_, update, err := w.ask(ctx, j, f)
	return update, err
}

// PageImage draws a page, counted from 1, as PNG at the given dots per inch.
func (w *Worker) PageImage(ctx context.Context, f *File, page, dpi int) ([]byte, error) {
	if page < 1 {
		return nil, policies.Refuse(policies.NotFound)
	}
	dpi = min(max(dpi, minDPI), maxDPI)
	n := strconv.Itoa(page)
	pixmap, err := w.draw(ctx, f, maxImage, "pdftoppm", "-q", "-cropbox", "-r", strconv.Itoa(dpi), "-f", n, "-l", n, documentPath)
	if err != nil {
		return nil, err
	}
	if len(pixmap) == 0 { // pdftoppm is content with a page that is not there
		return nil, policies.Refuse(policies.NotFound)
	}
	return pixmapToPNG(pixmap)
}

// PageText is the text of a page, counted from 1, in reading order.
func (w *Worker) PageText(ctx context.Context, f *File, page int) (string, error) {
	if page < 1 {
		return "", policies.Refuse(policies.NotFound)
	}
	n := strconv.Itoa(page)
	out, err := w.draw(ctx, f, maxText, "pdftotext", "-q", "-enc", "UTF-8", "-nopgbrk", "-f", n, "-l", n, documentPath, "-")
	return string(out), err
}

// TextPreview gives the beginning of a document that is plain text, for those
// that are signed as CAdES and are no PDF. It needs no child: nothing is parsed.
func TextPreview(f *File, limit int) (string, bool) {
	cut := make([]byte, min(f.Size(), int64(limit)))
	if _, err := f.ReadAt(cut, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", false
	}
	if f.Size() > int64(len(cut)) { // it may end within a letter
		for range utf8.UTFMax {
			if r, size := utf8.DecodeLastRune(cut); r != utf8.RuneError || size != 1 {
				break
			}
			cut = cut[:len(cut)-1]
		}
	}
	if !utf8.Valid(cut) {
		return "", false
	}
	for _, r := range string(cut) {
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' && r != '\f' {
			return "", false
		}
	}
	return string(cut), true
}

func orElse[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
