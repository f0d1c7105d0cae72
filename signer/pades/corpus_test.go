package pades_test

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

// claimed is the signing time of the tests.
var claimed = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// bounded is how long any document may take, signed or refused.
const bounded = 2 * time.Second

// TestCorpus signs every document of testdata/pdf and asks pdfsig, which shares
// no code with pdfsign or with us. RUBRICA_CORPUS names a directory of further
// documents: those may be refused, with a refusal, but what is signed has to be
// valid.
func TestCorpus(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	ours := documents(t, filepath.Join("..", "..", "testdata", "pdf"))
	if len(ours) == 0 {
		t.Fatal("testdata/pdf has no documents")
	}
	for _, path := range ours {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			if err := signAndAsk(t, s, path); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
	if dir := os.Getenv("RUBRICA_CORPUS"); dir != "" {
		for _, path := range documents(t, dir) {
			t.Run(filepath.Base(path), func(t *testing.T) {
				t.Parallel()
				err := signAndAsk(t, s, path)
				if refusal := (*policies.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
					t.Errorf("got %v, want a refusal", err)
				}
				t.Logf("%v", err)
			})
		}
	}
}

func documents(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// signAndAsk signs a document, twice over, and gives the refusal if there is one.
func signAndAsk(t *testing.T, s *cmstest.Signer, path string) error {
	t.Helper()
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content := original
	for round := range 2 {
		begin := time.Now()
		p, err := pades.Prepare(content, options())
		if took := time.Since(begin); took > bounded {
			t.Errorf("took %v, want at most %v", took, bounded)
		}
		if err != nil {
			if round > 0 {
				t.Errorf("our own signature cannot be countersigned: %v", err)
			}
			return err
		}
		sign(t, s, p)
		if !bytes.HasPrefix(p.Content, content) {
			t.Error("the document's octets changed")
		}
		askPdfsig(t, p.Content, p.Inspection.Signatures+1)
		content = p.Content
	}
	return nil
}

func options() pades.Options {
	return pades.Options{
		Name: `Begoña Núñez (\ "Ĩ⠩")`, Reason: "Solicitud de ayuda) /M (D:1", Location: "A Coruña", Time: claimed,
	}
}

// sign does what the ceremony does with a prepared document.
func sign(tb testing.TB, s *cmstest.Signer, p *pades.Prepared) {
	tb.Helper()
	if err := p.Layout.FixTime(p.Content, claimed.Add(time.Hour)); err != nil {
		tb.Fatalf("fixing the time: %v", err)
	}
	digest, err := p.Layout.Digest(p.Content, crypto.SHA256)
	if err != nil {
		tb.Fatalf("hashing: %v", err)
	}
	der := s.SignParams(tb, cades.Params{ContentDigest: digest, Hash: crypto.SHA256, Certificate: s.Certificate, PAdES: true})
	if err := p.Layout.Embed(p.Content, der); err != nil {
		tb.Fatalf("embedding: %v", err)
	}
	if err := p.Layout.Verify(p.Content, s.Certificate); err != nil {
		tb.Fatalf("Verify: %v", err)
	}
}

// askPdfsig checks the newest of the given number of signatures.
func askPdfsig(t *testing.T, content []byte, signatures int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signed.pdf")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "env", "TZ=UTC", "pdfsig", "-nocert", path).CombinedOutput()
	if err != nil {
		t.Fatalf("pdfsig: %v\n%s", err, out)
	}
	var sections []string
	for _, section := range strings.Split(string(out), "Signature #")[1:] {
		if !strings.Contains(section, "The signature form field is not signed.") {
			sections = append(sections, section)
		}
	}
	if len(sections) != signatures {
		t.Fatalf("pdfsig finds %d signatures, want %d\n%s", len(sections), signatures, out)
	}
	// pdfsig's order is that of the fields, where ours is the last.
	last := sections[signatures-1]
	for _, want := range []string{
		"Signature Validation: Signature is Valid.", "Total document signed", "ETSI.CAdES.detached",
		"Signing Hash Algorithm: SHA-256", "Signing Time: Mar 04 2026 06:06:07",
	} {
		if !strings.Contains(last, want) {
			t.Errorf("pdfsig does not say %q:\n%s", want, last)
		}
	}
	for _, section := range sections {
		if strings.Contains(section, "Digest Mismatch") {
			t.Errorf("a signature broke:\n%s", section)
		}
	}
}
