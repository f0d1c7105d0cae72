package foreign_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// errUnjudged is in errors that say nothing about a document: a validator
// crashed, or took too long.
var errUnjudged = errors.New("no judgement")

// desk is where programs find what they judge. It serves one test at a time.
type desk struct {
	house

	tb  testing.TB
	dir string
}

func newDesk(tb testing.TB, h house) *desk {
	tb.Helper()
	d := &desk{h, tb, tb.TempDir()}
	d.write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Root.Raw}))
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(name string, octets []byte) string {
	d.tb.Helper()
	must(d.tb, os.WriteFile(d.path(name), octets, 0o600))
	return d.path(name)
}

// run gives what a program prints, and an error unless it ends with 0. A program
// that is killed, by us after a while or by its own fault, has not judged.
func (d *desk) run(name string, args ...string) (string, error) {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(d.tb.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		d.tb.Fatalf("running %s (.ci/deps test installs it): %v", name, err)
	}
	if cmd.ProcessState.ExitCode() < 0 {
		return "", fmt.Errorf("%w: %s: %v", errUnjudged, name, cmd.ProcessState)
	}
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return string(out), nil
}

// pdfsig is poppler. It finds document time-stamps and what they cover, but does
// not judge them; nor certificates here, nor what later revisions bring. It has accepted a document when all signatures are valid, and something covers it whole.
func (d *desk) pdfsig(document []byte) error {
	d.tb.Helper()
	out, err := d.run("pdfsig", "-nocert", d.write("document.pdf", document))
	if err != nil {
		return err
	}
	signatures, whole := 0, false
	for _, section := range strings.Split(out, "Signature #")[1:] {
		whole = whole || strings.Contains(section, "- Total document signed")
		if strings.Contains(section, "- Signature Type: unknown") && strings.Contains(section, "has not yet been verified") {
			continue // a document time-stamp
		}
		if !strings.Contains(section, "- Signature Validation: Signature is Valid.") {
			return fmt.Errorf("pdfsig: not valid:\n%s", section)
		}
		signatures++
	}
	switch {
	case signatures == 0:
		return fmt.Errorf("pdfsig: no signature:\n%s", out)
	case !whole:
		return fmt.Errorf("%w:\n%s", errNotWhole, out)
	}
	return nil
}

// errNotWhole is what pdfsig says of every document to which something was added
// after it was signed, be it what a reader is shown or validation data.
var errNotWhole = errors.New("pdfsig: not total document signed")

// qpdf judges the structure alone.
func (d *desk) qpdf(document []byte) error {
	d.tb.Helper()
	_, err := d.run("qpdf", "--check", d.write("document.pdf", document))
	return err
}

// openSSL judges a CMS; content is nil for an attached one.
func (d *desk) openSSL(der, content []byte) error {
	d.tb.Helper()
	args := []string{
		"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any", "-in", d.write("signature", der),
		"-out", d.path("out"), "-CAfile", d.path("root.pem"),
	}
	if content != nil {
		args = append(args, "-content", d.write("content", content))
	}
	_, err := d.run("openssl", args...)
	return err
}

// openSSLToken judges a time-stamp of an imprint.
func (d *desk) openSSLToken(token, imprint []byte) error {
	d.tb.Helper()
	out, err := d.run("openssl", "ts", "-verify", "-token_in", "-in", d.write("token", token),
		"-digest", hex.EncodeToString(imprint), "-CAfile", d.path("root.pem"))
	if err == nil && !strings.Contains(out, "Verification: OK") {
		return fmt.Errorf("openssl ts: %s", out)
	}
	return err
}

// pdfBox is PDFBox with BouncyCastle. What it reads is for comparison with what
// it is known to be.
func (d *desk) pdfBox(document []byte) (read, error) {
	d.tb.Helper()
	found, store, err := bouncycastle.Documents(d.tb, bouncycastle.Document{PDF: document, Root: d.Root})
	r := read{Store: store}
	for _, s := range found {
		r.Types = append(r.Types, s.Type+" "+s.SubFilter)
		if s.Signer != nil {
			r.SignatureTimes += len(s.Signer.SignatureTimes)
			r.Signers = append(r.Signers, s.Signer.Serial)
		}
		r.Whole = r.Whole || s.End == len(document)
	}
	return r, err
}

// read is what PDFBox finds in a document.
type read struct {
	Types          []string
	Signers        []string
	SignatureTimes int
	Whole          bool
	Store          bouncycastle.Store
}

// ours is our own verifier. A level below the one that was made is no acceptance.
func ours(tb testing.TB, v *verify.Verifier, document, content []byte, level cades.Level) error {
	tb.Helper()
	in := verify.Input{Document: bytes.NewReader(document), Size: int64(len(document))}
	if content != nil {
		in.Content, in.ContentSize = bytes.NewReader(content), int64(len(content))
	}
	r, err := v.File(tb.Context(), in)
	if err != nil {
		return err
	}
	if r.Indication != verify.Passed || len(r.Signatures) != 1 || r.Signatures[0].Level != level {
		return fmt.Errorf("%s %s %s, %d signatures", r.Indication, r.SubIndication, r.Reason, len(r.Signatures))
	}
	return nil
}
