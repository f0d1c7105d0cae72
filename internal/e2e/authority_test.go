package e2e

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mozilla.org/pkcs7"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// relying is somebody who was handed a signature, and asks what the certificate
// itself names.
type relying struct {
	*testing.T
	dir         string
	certificate *x509.Certificate
}

// handed makes a citizen sign and hands the certificate over.
func handed(t *testing.T, c *thread.Citizen) relying {
	t.Helper()
	request := ask(t, c, note())
	sign(t, c, request)
	der, err := shared.world.Result(t.Context(), request.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := pkcs7.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	r := relying{T: t, dir: t.TempDir()}
	for _, crt := range signed.Certificates {
		if !crt.IsCA {
			r.certificate = crt
		}
	}
	if r.certificate == nil {
		t.Fatal("the signature carries no certificate of its signer")
	}
	r.write("signer.pem", r.certificate.Raw)
	r.write("issuer.pem", r.fetch(r.certificate.IssuingCertificateURL[0], "application/pkix-cert"))
	return r
}

// write keeps a certificate or a list as PEM.
func (r relying) write(name string, der []byte) {
	r.Helper()
	kind := "CERTIFICATE"
	if strings.HasSuffix(name, "crl.pem") {
		kind = "X509 CRL"
	}
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(filepath.Join(r.dir, name), text, 0o600); err != nil {
		r.Fatal(err)
	}
}

func (r relying) fetch(address, mediaType string) []byte {
	r.Helper()
	response, err := http.Get(address)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != mediaType {
		r.Fatalf("fetching %s: %v, %s, %s", address, err, response.Status, response.Header.Get("Content-Type"))
	}
	return body
}

func (r relying) openssl(args ...string) (string, error) {
	r.Helper()
	cmd := exec.CommandContext(r.Context(), "openssl", args...)
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// status is what OCSP says, by openssl's client over the network.
func (r relying) status(more ...string) string {
	r.Helper()
	args := append([]string{
		"ocsp", "-issuer", "issuer.pem", "-cert", "signer.pem", "-url", r.certificate.OCSPServer[0], "-CAfile", shared.root,
	}, more...)
	out, err := r.openssl(args...)
	if err != nil || !strings.Contains(out, "Response verify OK") {
		r.Errorf("openssl ocsp: %v: %s", err, out)
	}
	_, told, _ := strings.Cut(out, "signer.pem: ")
	line, rest, _ := strings.Cut(told, "\n")
	if reason, after, ok := strings.Cut(rest, "Reason: "); ok && !strings.Contains(reason, ": good") {
		name, _, _ := strings.Cut(after, "\n")
		line += " " + name
	}
	return line
}

// listed is what the list says that the certificate names, by openssl verify.
func (r relying) listed() string {
	r.Helper()
	r.write("crl.pem", r.fetch(r.certificate.CRLDistributionPoints[0], "application/pkix-crl"))
	out, err := r.openssl("verify", "-crl_check", "-CRLfile", "crl.pem", "-CAfile", shared.root, "-untrusted", "issuer.pem", "signer.pem")
	switch {
	case err == nil:
		return "good"
	case strings.Contains(out, "certificate revoked"):
		return "revoked"
	}
	return out
}

// becomes waits for what is asked to say so, and returns how long that took.
func (r relying) becomes(what, want string, ask func() string) time.Duration {
	r.Helper()
	began := time.Now()
	for {
		got := ask()
		took := time.Since(began)
		if got == want {
			return took
		}
		if took > 10*time.Second {
			r.Fatalf("%s: got %q for ten seconds, want %q", what, got, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// What an office does to a certificate the world sees: at once by OCSP, within
// seconds by the list.
func TestStatusIsPublished(t *testing.T) {
	t.Parallel()
	c := active(t)
	r := handed(t, c)
	if got := r.status(); got != "good" {
		t.Errorf("OCSP: got %q, want good", got)
	}
	if got := r.status("-no_nonce"); got != "good" {
		t.Errorf("OCSP without a nonce: got %q, want good", got)
	}
	r.becomes("list", "good", r.listed)

	for _, step := range []struct {
		act          client.ActKind
		reason       string
		ocsp, listed string
	}{
		{client.ActSuspend, "móvil perdido", "revoked certificateHold", "revoked"},
		{client.ActRelease, "móvil encontrado", "good", "good"},
		{client.ActRevoke, "key_compromise", "revoked keyCompromise", "revoked"},
	} {
		if err := c.Undergo(t.Context(), step.act, step.reason); err != nil {
			t.Fatal(err)
		}
		if got := r.status(); got != step.ocsp {
			t.Errorf("%s: OCSP with a nonce says %q right after it, want %q", step.act, got, step.ocsp)
		}
		// A second is what is promised; starting openssl takes its time as well.
		if took := r.becomes(string(step.act), step.ocsp, func() string { return r.status("-no_nonce") }); took > 3*time.Second {
			t.Errorf("%s: OCSP says so after %v", step.act, took)
		}
		r.becomes(string(step.act), step.listed, r.listed)
	}
}

// A serial that was never issued is unknown, not good (RFC 6960, section 2.2).
func TestUnknownSerial(t *testing.T) {
	t.Parallel()
	r := handed(t, active(t))
	out, err := r.openssl("ocsp", "-issuer", "issuer.pem", "-serial", "0x4142434445464748494a4b4c4d4e4f50",
		"-url", r.certificate.OCSPServer[0], "-CAfile", shared.root)
	if err != nil || !strings.Contains(out, ": unknown") || !strings.Contains(out, "Response verify OK") {
		t.Errorf("openssl ocsp: %v: %s, want unknown", err, out)
	}
}

// Any software can have its data stamped.
func TestTimeStamp(t *testing.T) {
	t.Parallel()
	r := handed(t, active(t))
	if err := os.WriteFile(filepath.Join(r.dir, "data"), []byte("Datos de otro programa.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{"-sha256", "-sha384", "-sha512"} {
		if out, err := r.openssl("ts", "-query", "-data", "data", hash, "-cert", "-out", "query"); err != nil {
			t.Fatalf("openssl ts -query: %v: %s", err, out)
		}
		reply := r.post("/tsa", "application/timestamp-query", r.read("query"), "application/timestamp-reply")
		if err := os.WriteFile(filepath.Join(r.dir, "reply"), reply, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := r.openssl("ts", "-verify", "-queryfile", "query", "-in", "reply", "-CAfile", shared.root, "-untrusted", "issuer.pem")
		if err != nil || !strings.Contains(out, "Verification: OK") {
			t.Errorf("openssl ts -verify %s: %v: %s", hash, err, out)
		}
	}
	for name, query := range map[string][]byte{"nothing": nil, "noise": bytes.Repeat([]byte{0x30}, 4000), "SHA-1": r.sha1Query()} {
		reply := r.post("/tsa", "application/timestamp-query", query, "application/timestamp-reply")
		if err := os.WriteFile(filepath.Join(r.dir, "reply"), reply, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := r.openssl("ts", "-reply", "-in", "reply", "-text"); !strings.Contains(out, "Status: Rejected") {
			t.Errorf("%s: %v: %s, want it rejected", name, err, out)
		}
	}
}

func (r relying) sha1Query() []byte {
	r.Helper()
	if out, err := r.openssl("ts", "-query", "-data", "data", "-sha1", "-out", "old"); err != nil {
		r.Fatalf("openssl ts -query: %v: %s", err, out)
	}
	return r.read("old")
}

func (r relying) read(name string) []byte {
	r.Helper()
	content, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.Fatal(err)
	}
	return content
}

func (r relying) post(path, mediaType string, body []byte, answers string) []byte {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, shared.world.Service+path, bytes.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Content-Type", mediaType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != answers {
		r.Fatalf("POST %s: %v, %s, %s", path, err, response.Status, response.Header.Get("Content-Type"))
	}
	return answer
}

// A signer that dies with a revocation just done owes its list still.
func TestListAfterACrash(t *testing.T) {
	c := active(t)
	r := handed(t, c)
	if err := c.Undergo(t.Context(), client.ActRevoke, "cessation_of_operation"); err != nil {
		t.Fatal(err)
	}
	shared.kill(t, "signer")
	r.becomes("list", "revoked", r.listed)
	if got := r.status(); got != "revoked cessationOfOperation" {
		t.Errorf("OCSP: got %q", got)
	}
}
