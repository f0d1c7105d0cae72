package main

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/audit/mirror"
)

// AuditCommand is the signature log from outside: what anybody can verify and
// copy, and what an operator does to it.
type AuditCommand struct {
	Verify AuditVerifyCommand `cmd:"" help:"Say whether the log, or what was taken out of it, is as it was written."`
	Mirror AuditMirrorCommand `cmd:"" help:"Copy the published log into a directory, as far as it is authentic."`

	Key     AuditKeyCommand     `cmd:"" help:"Print the log's line of a witness policy."`
	Recover AuditRecoverCommand `cmd:"" help:"Say which entries were lost, and let the log go on."`
	Erase   AuditEraseCommand   `cmd:"" help:"Take from entries what links them to a person; the tree stays whole."`
}

// AuditVerifyCommand verifies a log that is served or mirrored, the database, an
// export, a receipt or a proof, and asks nobody. Its exit status is 0 if all of
// it holds, 2 if something is wrong or cannot be affirmed, and 1 if it could not
// be looked at.
type AuditVerifyCommand struct {
	Source string `arg:"" optional:"" help:"Address or directory of a log, or a file: export (.jsonl, or .csv with .csv.jsonl beside it), receipt (.rubrica-receipt.json), proof (.tlog-proof)."`
	// Policy names the keys that are believed. A receipt and an export have one
	// inside, of whoever made them.
	Policy string `help:"Witness policy: which log, and which witnesses (C2SP tlog-policy)." type:"existingfile" placeholder:"FILE"`
	// Known is a checkpoint that was kept from before: what a log was, no rewriting
	// of it can undo.
	Known           string   `help:"An older signed checkpoint, which the log must have grown out of." type:"existingfile" placeholder:"FILE"`
	TSACertificates []string `name:"tsa-certificates" help:"Certificates of the time-stamping authorities that are believed, PEM or DER." type:"existingfile" placeholder:"FILE"`
	// Database is opened in a role that reads the log: rubrica_auditor.
	Database string `help:"Address of the database, to verify the log where it is written (role rubrica_auditor)."`
	// Keep is for foreign tools.
	Keep string `help:"Directory for the checkpoint and its time-stamp, to verify them with other tools." type:"path" placeholder:"DIR"`
	JSON bool   `name:"json" help:"Print the report as JSON."`
}

// Run verifies and prints the report.
func (c *AuditVerifyCommand) Run(ctx context.Context) error { return c.report(ctx, os.Stdout) }

func (c *AuditVerifyCommand) report(ctx context.Context, out io.Writer) error {
	if (c.Source == "") == (c.Database == "") {
		return errors.New("name a source or --database, one of both")
	}
	bar := newProgress(os.Stderr)
	defer bar.end()
	checker, err := c.checker(bar)
	if err != nil {
		return err
	}
	report, err := c.verify(ctx, checker)
	if err != nil {
		return err
	}
	bar.end()
	kept, err := c.keep(report)
	if err != nil {
		return err
	}
	if err := c.print(out, report, kept); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if report.Verdict == check.Holds {
		return nil
	}
	return notHoldingError{report}
}

func (c *AuditVerifyCommand) checker(bar *progress) (check.Checker, error) {
	checker := check.Checker{Progress: bar.show}
	var err error
	if c.Policy != "" {
		if checker.Policy, err = readPolicy(c.Policy); err != nil {
			return checker, err
		}
	}
	if c.Known != "" {
		if checker.Known, err = os.ReadFile(c.Known); err != nil {
			return checker, fmt.Errorf("reading the known checkpoint: %w", err)
		}
	}
	if len(c.TSACertificates) > 0 {
		if checker.Authorities, err = readTrust(c.TSACertificates); err != nil {
			return checker, err
		}
	}
	return checker, nil
}

// readPolicy reads a witness policy.
func readPolicy(path string) (audit.Policy, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return audit.Policy{}, fmt.Errorf("reading the witness policy: %w", err)
	}
	policy, err := audit.ParsePolicy(text)
	if err != nil {
		return audit.Policy{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return policy, nil
}

// verify finds out what the source is.
func (c *AuditVerifyCommand) verify(ctx context.Context, checker check.Checker) (*check.Report, error) {
	if c.Database != "" {
		db, err := openDatabase(ctx, c.Database)
		if err != nil {
			return nil, err
		}
		defer db.Close()
		return checker.Database(ctx, "database", db)
	}
	if info, err := os.Stat(c.Source); check.Remote(c.Source) || err == nil && info.IsDir() {
		source, err := check.Open(c.Source)
		if err != nil {
			return nil, err
		}
		return checker.Log(ctx, c.Source, source)
	}
	file, err := os.Open(c.Source)
	if err != nil {
		return nil, fmt.Errorf("opening the source: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	if strings.EqualFold(filepath.Ext(c.Source), ".csv") {
		companion, err := os.Open(c.Source + ".jsonl")
		if err != nil {
			return nil, fmt.Errorf("opening the companion of the export: %w", err)
		}
		defer companion.Close() //nolint:errcheck // it was only read
		return checker.ExportCSV(ctx, filepath.Base(c.Source), file, companion)
	}
	return c.file(ctx, checker, bufio.NewReader(file))
}

// file verifies what begins as an export, a receipt or a proof does.
func (c *AuditVerifyCommand) file(ctx context.Context, checker check.Checker, in *bufio.Reader) (*check.Report, error) {
	name := filepath.Base(c.Source)
	head, err := in.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	kind := firstMember(head) // which what is read next overwrites
	if kind == "export" {
		return checker.Export(ctx, name, in)
	}
	whole, err := io.ReadAll(io.LimitReader(in, audit.MaxReceipt+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if kind == "receipt" {
		return checker.Receipt(name, whole)
	}
	return checker.Proof(name, whole)
}

// firstMember is the name of the first member of a JSON object; empty if it is
// none.
func firstMember(head []byte) string {
	decoder := jsontext.NewDecoder(strings.NewReader(string(head)))
	if token, err := decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return ""
	}
	token, err := decoder.ReadToken()
	if err != nil || token.Kind() != '"' {
		return ""
	}
	return token.String()
}

// keep writes the checkpoint and its time-stamp as files, and is the command
// line with which OpenSSL verifies the one with the other.
func (c *AuditVerifyCommand) keep(report *check.Report) (string, error) {
	if report.Stamp == nil {
		return "", nil
	}
	dir := c.Keep
	if dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return "", fmt.Errorf("keeping the checkpoint: %w", err)
		}
		for name, content := range map[string][]byte{"checkpoint": report.Signed, "checkpoint.tst": report.Token} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				return "", fmt.Errorf("keeping the checkpoint: %w", err)
			}
		}
	}
	certificates := strings.Join(c.TSACertificates, " ")
	if len(c.TSACertificates) != 1 {
		certificates = "CERTIFICATES.pem"
	}
	return fmt.Sprintf("openssl ts -verify -data %s -in %s -token_in -CAfile %s",
		filepath.Join(dir, "checkpoint"), filepath.Join(dir, "checkpoint.tst"), certificates), nil
}

func (c *AuditVerifyCommand) print(out io.Writer, report *check.Report, openssl string) error {
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(struct {
			*check.Report

			OpenSSL string `json:"openssl,omitempty"`
		}{report, openssl})
	}
	if err := report.WriteText(out); err != nil {
		return err
	}
	if openssl == "" {
		return nil
	}
	hint := ""
	if c.Keep == "" {
		hint = " (--keep DIR writes the two files)"
	}
	_, err := fmt.Fprintf(out, "\nanother tool for the time-stamp%s:\n  %s\n", hint, openssl)
	return err
}

// notHoldingError carries the exit status of what does not hold.
type notHoldingError struct{ report *check.Report }

func (e notHoldingError) Error() string {
	return fmt.Sprintf("%s: %s", e.report.Name, e.report.Verdict)
}

// ExitCode is documented with AuditVerifyCommand.
func (e notHoldingError) ExitCode() int { return 2 }

// AuditMirrorCommand brings a copy of the published log up to date. Run it as
// often as you like: from a copy, lost entries can be put back, and a log that
// was rewritten is found out. Its exit status is 3 for a fork.
type AuditMirrorCommand struct {
	URL    string `arg:"" help:"Address of the log, such as https://firma.example.es/log, or a directory."`
	Dir    string `arg:"" help:"Directory of the copy." type:"path"`
	Policy string `help:"Witness policy: which log, and which witnesses (C2SP tlog-policy)." required:"" type:"existingfile" placeholder:"FILE"`
}

// Run copies.
func (c *AuditMirrorCommand) Run(ctx context.Context) error {
	policy, err := readPolicy(c.Policy)
	if err != nil {
		return err
	}
	source, err := check.Open(c.URL)
	if err != nil {
		return err
	}
	bar := newProgress(os.Stderr)
	defer bar.end()
	now, before, err := mirror.Mirror{Source: source, Dir: c.Dir, Policy: policy, Progress: bar.show}.Copy(ctx)
	bar.end()
	if errors.Is(err, mirror.ErrFork) {
		return forkedError{err}
	}
	if err != nil {
		return fmt.Errorf("copying %s: %w", c.URL, err)
	}
	fmt.Printf("%s: %d entries, %d of them new\n", now.Origin, now.Size, now.Size-before)
	return nil
}

// forkedError carries the exit status of a fork.
type forkedError struct{ error }

// Unwrap is the fork.
func (e forkedError) Unwrap() error { return e.error }

// ExitCode is documented with AuditMirrorCommand.
func (e forkedError) ExitCode() int { return 3 }
