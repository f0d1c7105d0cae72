package presenting

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
)

// TestRevocations: certificates of the personnel are asked about as citizens' are.
func TestRevocations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := RevocationConfig{
		Hosts: webOf(w).Hosts, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Logger: slog.New(slog.DiscardHandler), Now: w.now,
	}
	listed := config
	listed.Hosts, listed.CRL = nil, []string{w.server.URL + "/crl/dnie"}
	elsewhere := config
	elsewhere.Hosts = []string{strings.Replace(config.Hosts[0], "127.0.0.1", "127.0.0.2", 1)}
	revoked, valid := w.issue(w.sub, anaDNIe(nil)), w.issue(w.sub, anaDNIe(nil))
	silent := w.issue(w.sub, anaDNIe(func(c *x509.Certificate) { c.OCSPServer, c.CRLDistributionPoints = []string{}, []string{} }))
	w.change(func() { w.sub.revoked[revoked.certificate.SerialNumber.String()] = true })
	for _, test := range []struct {
		name   string
		config RevocationConfig
		of     party
		want   policies.Code
	}{
		{"valid", config, valid, ""},
		{"revoked", config, revoked, policies.CertificateUntrusted},
		{"valid, by the list", listed, valid, ""},
		{"revoked, by the list", listed, revoked, policies.CertificateUntrusted},
		{"names nobody", config, silent, policies.RevocationUnknown},
		{"names nobody, by the list", listed, silent, ""},
		{"at a host that is not named", elsewhere, valid, policies.RevocationUnknown},
	} {
		r, err := NewRevocations(test.config)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		err = r.Check(t.Context(), []*x509.Certificate{test.of.certificate, w.sub.certificate})
		if test.want == "" && err != nil || test.want != "" && !errors.Is(err, policies.Refuse(test.want)) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := NewRevocations(RevocationConfig{}); err == nil {
		t.Error("got a register that asks nobody")
	}
}
