package dev_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/presenting"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
)

// checkVisitors has the certificates of a running environment judged as the
// registrar's doors do, with the revocation lists that it serves.
func checkVisitors(t *testing.T, dir string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(dir, "registrar", name) }
	trust, err := presenting.OpenTrust(in("trust.toml"))
	if err != nil {
		t.Fatal(err)
	}
	door, err := presenting.New(presenting.Config{
		Trust: trust, Office: &citizen.Signatory{}, Recorder: deaf{}, Perform: func(context.Context, citizen.Act) (string, error) { return "", nil },
		ServiceURL: "https://firma.example.es", Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, class := range map[string]presenting.Class{"ana-dnie": presenting.DNIe, "ana-qualified": presenting.Qualified} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/certificado", nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{readCertificate(t, in(name+".pem"))}}
		shown, err := door.Look(r, presenting.Errand{Procedure: presenting.Entrance})
		if err != nil {
			t.Errorf("%s: got %v, want it believed", name, err)
			continue
		}
		if shown.Class != class || shown.Identifier.String() != "12345678Z" || shown.Name.String() != "ANA NÚÑEZ PÉREZ" {
			t.Errorf("%s: got %+v, want Ana Núñez Pérez 12345678Z by %s", name, shown, class)
		}
	}
	house := x509.NewCertPool()
	house.AddCert(readCertificate(t, in("tls-ca.pem")))
	for _, name := range []string{"rosa", "marcos"} {
		options := x509.VerifyOptions{Roots: house, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		if _, err := readCertificate(t, in(name+".pem")).Verify(options); err != nil {
			t.Errorf("%s: got %v, want a client certificate", name, err)
		}
	}
	for _, name := range []string{"rosa", "marcos", "ana-dnie", "ana-qualified"} {
		out, err := exec.CommandContext(t.Context(), "openssl", "pkcs12", "-in", in(name+".p12"), "-passin", "pass:rubrica", "-nodes").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PRIVATE KEY") {
			t.Errorf("%s.p12: got %v: %s", name, err, out)
		}
	}
}

// deaf takes every entry.
type deaf struct{}

func (deaf) RecordAudit(context.Context, audit.Entry) (int64, error) { return 1, nil }

func readCertificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s is no PEM", path)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
