package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// TestExtendCommand extends a signature from file to file, and has it verified
// by the command that asks nobody.
func TestExtendCommand(t *testing.T) {
	t.Parallel()
	authority := cmstest.NewAuthority(t)
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	places := func(c *x509.Certificate) { c.CRLDistributionPoints = []string{base + "/ca/root.crl"} }
	unit := authority.TimeStamps(t, places)
	stamps, err := tsa.New(tsa.Config{
		Certificate: unit.Certificate, Signer: unit.Key, Policy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1},
		Now: time.Now, Trusted: func(context.Context) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		answer := authority.CRL(t, nil)
		if r.URL.Path == "/tsa" {
			if answer, err = stamps.Answer(r.Context(), query); err != nil {
				t.Error(err)
			}
		}
		if _, err := w.Write(answer); err != nil {
			t.Error(err)
		}
	})
	server.Start()
	t.Cleanup(server.Close)
	signer := authority.Signer(t, "p256")
	signer.Certificate = authority.Certify(t, signer.Key.Public(), places)

	dir := t.TempDir()
	write := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	content := []byte("Solicitud\n")
	command := ExtendCommand{
		File: write("a.p7s", signer.Sign(t, content, crypto.SHA256)), Content: write("a", content), PublicURL: base,
		Trust:    []string{write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Root.Raw}))},
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Timeout: 5 * time.Second, RenewBefore: time.Hour,
	}
	for _, level := range []cades.Level{cades.BT, cades.BLT, cades.BLTA} {
		command.Level, command.Output = string(level), filepath.Join(dir, string(level)+".p7s")
		var out bytes.Buffer
		if err := command.extend(t.Context(), &out); err != nil || !strings.HasSuffix(out.String(), ": "+command.Level+"\n") {
			t.Fatalf("%s: got %q, %v", level, out.String(), err)
		}
		if err := command.extend(t.Context(), &out); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: got %v, want the output to be left alone", level, err)
		}
		extended, err := os.ReadFile(command.Output)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := signer.OpenSSL(t, extended, content); err != nil {
			t.Errorf("%s: openssl cms -verify: %v\n%s", level, err, out)
		}
		if level == cades.BT {
			continue // revocation is not known yet
		}
		var report bytes.Buffer
		if err := (&VerifyCommand{File: command.Output, Content: command.Content, Trust: command.Trust, JSON: true}).report(t.Context(), &report); err != nil {
			t.Errorf("%s: rubrica verify: %v\n%s", level, err, report.String())
		}
		if !strings.Contains(report.String(), string(verify.Passed)) {
			t.Errorf("%s: got\n%s\nwant %s", level, report.String(), verify.Passed)
		}
	}
	command.Networks, command.Output = nil, filepath.Join(dir, "none.p7s")
	if err := command.extend(t.Context(), io.Discard); !errors.Is(err, policies.Refuse(policies.TimeStampUnavailable)) {
		t.Errorf("got %v, want %v", err, policies.TimeStampUnavailable)
	}
	if _, err := os.Stat(command.Output); !errors.Is(err, os.ErrNotExist) {
		t.Error("a document that gained nothing was written")
	}
}
