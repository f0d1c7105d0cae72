package thread

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// Demonstration signs one PDF and one file of any kind, leaves what came out in
// Dir, and asks foreign validators, and our own, what they think of it.
type Demonstration struct {
	World    *World
	Name     string // of the PDF
	PDF      []byte
	RootFile string // root certificate of the service, PEM
	Policy   string // file: who is believed about the log (C2SP tlog-policy)
	Dir      string
	Program  string // this one, which verifies too
	Out      io.Writer
}

// The files that a demonstration leaves.
const (
	signedPDF    = "signed.pdf"
	contentFile  = "content.bin"
	detachedFile = "signed.p7s"
	attachedFile = "attached.p7m"
	rootFile     = "root.pem"
	receiptFile  = "signature.rubrica-receipt.json"
	evidenceFile = "evidence.pdf"
)

// ErrRejected means that a foreign validator does not accept what was signed.
var ErrRejected = errors.New("a foreign validator does not accept the signature")

// Run carries the thread through. It succeeds only if all validators agree.
func (d *Demonstration) Run(ctx context.Context) error {
	content := []byte("Contenido de cualquier clase: una firma CAdES no mira dentro.\x00\x01\x02\xff\n")

	d.say("Registering a citizen at the office, activating, asking, signing …")
	citizen, err := d.World.NewCitizen()
	if err != nil {
		return err
	}
	if err := citizen.Register(ctx); err != nil {
		return err
	}
	if err := citizen.Activate(ctx); err != nil {
		return err
	}
	request, err := d.World.Ask(ctx, citizen, strings.TrimSuffix(d.Name, ".pdf"),
		client.NewDocument{
			Name: d.Name, MediaType: "application/pdf", Format: client.Pades, Content: &d.PDF, Level: new(client.LevelLTA),
			Signature: &client.SignatureOptions{
				Reason: new("Solicitud firmada por su titular"),
				Stamp:  &client.Stamp{Place: new(client.LeftMargin), Csv: new("DEMO-2026-0001"), CheckURL: new("https://sede.example.es/csv/DEMO-2026-0001")},
			},
		},
		client.NewDocument{
			Name: contentFile, MediaType: "application/octet-stream", Format: client.CadesDetached, Content: &content,
			Level: new(client.LevelLT),
		},
		client.NewDocument{Name: contentFile, MediaType: "application/octet-stream", Format: client.CadesAttached, Content: &content})
	if err != nil {
		return err
	}
	if err := citizen.Sign(ctx, request.SigningURL, Walk{Look: true}); err != nil {
		return err
	}
	if err := d.collect(ctx, request.ID, content); err != nil {
		return err
	}
	d.say("%s %s signed 3 documents with one code. Results in %s", citizen.GivenName, citizen.Surnames, d.Dir)
	return d.validate(ctx)
}

func (d *Demonstration) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.Out, format+"\n", args...)
}

func (d *Demonstration) collect(ctx context.Context, requestID string, content []byte) error {
	if err := os.MkdirAll(d.Dir, 0o755); err != nil { //nolint:gosec // for whoever tries the service
		return fmt.Errorf("making the output directory: %w", err)
	}
	root, err := os.ReadFile(d.RootFile)
	if err != nil {
		return fmt.Errorf("reading the root certificate: %w", err)
	}
	files := map[string][]byte{contentFile: content, rootFile: root}
	for i, name := range []string{signedPDF, detachedFile, attachedFile} {
		if files[name], err = d.World.Result(ctx, requestID, i+1); err != nil {
			return err
		}
	}
	if files[receiptFile], files[evidenceFile], err = d.World.Receipt(ctx, requestID); err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(d.Dir, name), data, 0o644); err != nil { //nolint:gosec // nothing secret in them
			return fmt.Errorf("keeping %s: %w", name, err)
		}
	}
	return nil
}

// validate runs the validators and prints what they say.
func (d *Demonstration) validate(ctx context.Context) error {
	openssl := func(args ...string) []string {
		return append([]string{"openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any", "-CAfile", rootFile, "-out", os.DevNull}, args...)
	}
	checks := []struct {
		command []string
		says    []string
	}{
		{[]string{"pdfsig", "-nocert", signedPDF}, []string{"Signature is Valid.", "Total document signed", "ETSI.CAdES.detached"}},
		{openssl("-in", detachedFile, "-content", contentFile), []string{"CAdES Verification successful"}},
		{openssl("-in", attachedFile), []string{"CAdES Verification successful"}},
		{[]string{d.Program, "verify", "--trust", rootFile, signedPDF}, []string{"TOTAL-PASSED", "level B-LTA"}},
		{[]string{d.Program, "verify", "--trust", rootFile, "--content", contentFile, detachedFile}, []string{"TOTAL-PASSED", "level B-LT"}},
		{[]string{d.Program, "audit", "verify", "--policy", d.Policy, "--tsa-certificates", rootFile, receiptFile}, []string{"sign.intent", "sign.done", "enough"}},
	}
	var failures []error
	for _, check := range checks {
		cmd := exec.CommandContext(ctx, check.command[0], check.command[1:]...)
		cmd.Dir = d.Dir
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		output, err := cmd.CombinedOutput()
		d.say("\n$ %s %s\n%s", filepath.Base(check.command[0]), strings.Join(check.command[1:], " "), strings.TrimSpace(string(output)))
		if err != nil {
			failures = append(failures, fmt.Errorf("%w: %s: %w", ErrRejected, check.command[0], err))
			continue
		}
		for _, phrase := range check.says {
			if !strings.Contains(string(output), phrase) {
				failures = append(failures, fmt.Errorf("%w: %s does not say %q", ErrRejected, check.command[0], phrase))
			}
		}
	}
	if len(failures) == 0 {
		d.say("\nAll validators agree.")
	}
	return errors.Join(failures...)
}
