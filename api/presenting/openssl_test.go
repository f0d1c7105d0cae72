package presenting

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOpenSSLResponder asks a foreign responder, which repeats the nonce: then an
// answer is fresh, whatever the clock that made it says.
func TestOpenSSLResponder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.issue(w.fnmt, anaFNMT(nil))
	key, err := x509.MarshalPKCS8PrivateKey(w.fnmt.responder.key)
	if err != nil {
		t.Fatal(err)
	}
	w.file("signer.pem", w.fnmt.responder.certificate)
	w.file("ca.pem", w.fnmt.certificate)
	if err := os.WriteFile(filepath.Join(w.dir, "signer.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600); err != nil {
		t.Fatal(err)
	}
	number := strings.ToUpper(p.certificate.SerialNumber.Text(16))
	number = strings.Repeat("0", len(number)%2) + number
	index := fmt.Sprintf("V\t%s\t\t%s\tunknown\t/CN=Ana\n", p.certificate.NotAfter.UTC().Format("060102150405Z"), number)
	if err := os.WriteFile(filepath.Join(w.dir, "index.txt"), []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	w.change(func() {
		w.fnmt.crl, w.ahead = down, maxAnswerAge+time.Hour
		w.fnmt.ocsp = func(rw http.ResponseWriter, r *http.Request) { write(rw, w.openssl(r.Context(), r.Body)) }
	})
	d, _ := open(t, w, w.hurried(5*time.Second))
	if got := show(t, d, &p, entering()); got.Identifier != "12345678Z" || got.Source != SourceOCSP {
		t.Errorf("got %+v, want OpenSSL's answer believed", got)
	}
}

// openssl answers with the files of the world.
func (w *world) openssl(ctx context.Context, question io.Reader) []byte {
	file := func(name string) string { return filepath.Join(w.dir, name) }
	asked, err := io.ReadAll(question)
	if err != nil {
		w.tb.Error(err)
	}
	if err := os.WriteFile(file("request.der"), asked, 0o600); err != nil {
		w.tb.Error(err)
	}
	out, err := exec.CommandContext(ctx, "openssl", "ocsp", "-index", file("index.txt"), "-CA", file("ca.pem"),
		"-rsigner", file("signer.pem"), "-rkey", file("signer.key"), "-reqin", file("request.der"), "-respout", file("response.der"),
		"-ndays", "3").CombinedOutput()
	if err != nil {
		w.tb.Errorf("openssl ocsp: %v\n%s", err, out)
	}
	answer, err := os.ReadFile(file("response.der"))
	if err != nil {
		w.tb.Error(err)
	}
	return answer
}
