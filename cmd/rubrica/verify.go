package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rubrica-firma/rubrica/signer/verify"
)

// VerifyCommand validates the signatures of a document without asking anybody:
// what the document does not hold has to be given. Its exit status is 0 if there
// are signatures and all are valid, 2 if that cannot be said of all, 3 if one is
// not valid, 4 if there is none, and 1 if the document could not be looked at.
type VerifyCommand struct {
	File string `arg:"" help:"PDF, or CMS signature (.p7s, .csig)." type:"existingfile"`
	// Content is read as it is, octet by octet.
	Content string `help:"What a detached signature is of." type:"existingfile" placeholder:"FILE"`
	// Trust is the root of this deployment if none is given: the one that
	// rubrica up has made.
	Trust []string `help:"Trust anchors, certificates in PEM or DER; var/ca/root.pem if none are given." type:"existingfile" placeholder:"FILE"`
	// Evidence may be old: what counts is when it was produced, and when it is
	// proved to have existed.
	Evidence []string `help:"More certificates, revocation lists (PEM or DER) and OCSP answers (DER)." type:"existingfile" placeholder:"FILE"`
	// At judges as if it were that time, with what is known now.
	At time.Time `help:"Time of validation, as 2026-03-10T12:00:00Z; now if none is given." format:"2006-01-02T15:04:05Z07:00" placeholder:"TIME"`
	// Freshness is the maximum age of EN 319 102-1, 5.2.5.4.
	Freshness time.Duration `help:"Longest age of what is known about revocation; until its own next update if none is given."`
	JSON      bool          `name:"json" help:"Print the report as JSON."`
}

// Run validates and prints the report.
func (c *VerifyCommand) Run(ctx context.Context) error { return c.report(ctx, os.Stdout) }

func (c *VerifyCommand) report(ctx context.Context, out io.Writer) error {
	v, err := c.verifier()
	if err != nil {
		return err
	}
	file, size, err := openSized(c.File)
	if err != nil {
		return fmt.Errorf("opening the document: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	in := verify.Input{Name: filepath.Base(c.File), Document: file, Size: size}
	if c.Content != "" {
		content, size, err := openSized(c.Content)
		if err != nil {
			return fmt.Errorf("opening the content: %w", err)
		}
		defer content.Close() //nolint:errcheck // it was only read
		in.Content, in.ContentSize = content, size
	}
	report, err := v.File(ctx, in)
	if err != nil {
		return fmt.Errorf("validating %s: %w", in.Name, err)
	}
	if err := c.print(out, report); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if report.Indication == verify.Passed {
		return nil
	}
	return notValidError{report}
}

func (c *VerifyCommand) print(out io.Writer, report *verify.Report) error {
	if !c.JSON {
		return report.WriteText(out)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

func (c *VerifyCommand) verifier() (*verify.Verifier, error) {
	at := c.At
	if at.IsZero() {
		at = time.Now()
	}
	v := &verify.Verifier{Freshness: c.Freshness, Now: func() time.Time { return at }}
	var err error
	if v.Trust, err = readTrust(c.Trust); err != nil {
		return nil, err
	}
	v.Evidence, err = readEvidence(c.Evidence)
	return v, err
}

// notValidError carries the exit status of a document whose signatures are not
// all valid.
type notValidError struct{ report *verify.Report }

func (e notValidError) Error() string {
	return fmt.Sprintf("%s: %s %s", e.report.Name, e.report.Indication, e.report.SubIndication)
}

// ExitCode is documented with VerifyCommand.
func (e notValidError) ExitCode() int {
	switch {
	case len(e.report.Signatures) == 0:
		return 4
	case e.report.Indication == verify.Failed:
		return 3
	default:
		return 2
	}
}
