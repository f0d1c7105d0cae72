package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/dev/inbox"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// checkPDF asks poppler what it thinks of a signed PDF.
func checkPDF(t *testing.T, file string) {
	t.Helper()
	poppler(t, file, "Signature is Valid.", "Total document signed", "ETSI.CAdES.detached")
}

// checkValid does so where validation data follow the signature.
func checkValid(t *testing.T, file string) {
	t.Helper()
	poppler(t, file, "Signature is Valid.", "ETSI.CAdES.detached")
}

// poppler demands that pdfsig says all that.
func poppler(t *testing.T, file string, wants ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "pdfsig", "-nocert", file)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pdfsig: %v: %s", err, out)
	}
	for _, want := range wants {
		if !strings.Contains(string(out), want) {
			t.Errorf("pdfsig does not say %q: %s", want, out)
		}
	}
}

// checkCMS asks OpenSSL what it thinks of a CMS; content is nil where it is inside.
func checkCMS(t *testing.T, der, content []byte) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{
		"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any",
		"-CAfile", shared.root, "-in", file("cms", der), "-out", os.DevNull,
	}
	if content != nil {
		args = append(args, "-content", file("content", content))
	}
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "CAdES Verification successful") {
		t.Errorf("openssl: %v: %s", err, out)
	}
}

// messages are those on a phone, newest first.
func messages(t *testing.T, c *thread.Citizen) (found []inbox.Message) {
	t.Helper()
	response, err := http.Get(shared.world.Inbox + "/inbox.json?phone=" + url.QueryEscape(c.Phone))
	if err != nil {
		t.Fatalf("reading the phone: %v", err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil || len(found) == 0 {
		t.Fatalf("reading the phone: %v, %d messages", err, len(found))
	}
	return found
}

// checkRead demands that a PDF says all that to a reader.
func checkRead(t *testing.T, file string, wants ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pdftotext", "-layout", file, "-").CombinedOutput()
	if err != nil {
		t.Fatalf("pdftotext: %v: %s", err, out)
	}
	for _, want := range wants {
		if !strings.Contains(string(out), want) {
			t.Errorf("the PDF does not say %q: %s", want, out)
		}
	}
}
