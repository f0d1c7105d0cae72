// Package documents does everything that parses or draws an untrusted document,
// in a short-lived child process with limits on memory, processor time and
// files, no network, and nothing in its environment. Whatever happens to the
// child, the process that asked gets an answer or a refusal.
//
// The child cannot change a document: Prepare takes from it only what is to be
// appended, and checks where that claims to be.
package documents

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

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

// Prepared is a document with an empty signature, ready for its claimed time
// and its digest.
type Prepared struct {
	Content    []byte
	Layout     pades.Layout
	Pages      []pades.Page
	Title      string
	Signatures int
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
		_, err := w.ask(ctx, job{Kind: kindProbe}, nil, 0)
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

// Prepare appends an empty signature to a PDF, or answers with a *policies.Refusal.
func (w *Worker) Prepare(ctx context.Context, content []byte, o pades.Options) (*Prepared, error) {
	// What a look at the first octets decides needs no process.
	if len(content) == 0 {
		return nil, policies.Refuse(policies.DocumentEmpty)
	}
	out, err := w.ask(ctx, job{Kind: kindPrepare, Options: o}, content, maxUpdate)
	if err != nil {
		return nil, err
	}
	reply, update, err := decodeReply(out)
	if err != nil {
		return nil, fmt.Errorf("reading the document worker's answer: %w", err)
	}
	if reply.Refusal != nil {
		return nil, reply.Refusal.refusal()
	}
	p := &Prepared{
		Content: make([]byte, 0, len(content)+len(update)), Layout: reply.Layout,
		Pages: reply.Pages, Title: reply.Title, Signatures: reply.Signatures,
	}
	p.Content = append(append(p.Content, content...), update...)
	if reply.Layout.Original != len(content) {
		return nil, fmt.Errorf("reading the document worker's answer: %w", pades.ErrLayout)
	}
	if err := reply.Layout.Check(p.Content); err != nil {
		return nil, fmt.Errorf("reading the document worker's answer: %w", err)
	}
	return p, nil
}

// PageImage draws a page, counted from 1, as PNG at the given dots per inch.
func (w *Worker) PageImage(ctx context.Context, content []byte, page, dpi int) ([]byte, error) {
	if page < 1 {
		return nil, policies.Refuse(policies.NotFound)
	}
	dpi = min(max(dpi, minDPI), maxDPI)
	n := strconv.Itoa(page)
	pixmap, err := w.draw(ctx, content, maxImage, "pdftoppm", "-q", "-cropbox", "-r", strconv.Itoa(dpi), "-f", n, "-l", n, "-")
	if err != nil {
		return nil, err
	}
	if len(pixmap) == 0 { // pdftoppm is content with a page that is not there
		return nil, policies.Refuse(policies.NotFound)
	}
	return pixmapToPNG(pixmap)
}

// PageText is the text of a page, counted from 1, in reading order.
func (w *Worker) PageText(ctx context.Context, content []byte, page int) (string, error) {
	if page < 1 {
		return "", policies.Refuse(policies.NotFound)
	}
	n := strconv.Itoa(page)
	out, err := w.draw(ctx, content, maxText, "pdftotext", "-q", "-enc", "UTF-8", "-nopgbrk", "-f", n, "-l", n, "-", "-")
	return string(out), err
}

// TextPreview gives the beginning of a document that is plain text, for those
// that are signed as CAdES and are no PDF. It needs no child: nothing is parsed.
func TextPreview(content []byte, limit int) (string, bool) {
	cut := content[:min(len(content), limit)]
	for len(cut) < len(content) && len(cut) > 0 && !utf8.RuneStart(content[len(cut)]) {
		cut = cut[:len(cut)-1]
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
