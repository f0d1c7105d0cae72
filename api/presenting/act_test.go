package presenting

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
)

// TestAct: what the door says is an act as the signer reads it, whatever the
// length of certificate and names.
func TestAct(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	der, err := x509.MarshalPKCS8PrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	office, err := citizen.ReadSignatory(citizen.SignatoryConfig{
		Office: "office", Audience: "https://firma.example.es", Now: time.Now,
		PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	var act citizen.Act
	d, err := New(Config{
		Trust: w.trust(w.reach()), Office: office, Recorder: &ledger{}, ServiceURL: "https://firma.example.es", Logger: slog.New(slog.DiscardHandler), Now: w.now,
		Perform: func(_ context.Context, a citizen.Act) (string, error) {
			act = a
			return "code", nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.TrimSpace(strings.Repeat("MARÍA ", 16))
	plain := w.issue(w.fnmt, anaFNMT(nil))
	large := w.issue(w.fnmt, anaFNMT(func(c *x509.Certificate) {
		subjectOf(serial("IDCES-12345678Z"), gn(long), sn(long), cn("ANA"))(c)
		for len(c.DNSNames) < 66 {
			c.DNSNames = append(c.DNSNames, "an-alternative-name.example.es")
		}
	}))
	if n := len(large.certificate.Raw); n < maxCertificate*9/10 || n > maxCertificate {
		t.Fatalf("the large certificate has %d octets, want nearly %d", n, maxCertificate)
	}
	for name, p := range map[string]party{"plain": plain, "large": large} {
		request := requestWith(t, p.certificate)
		shown, err := d.Look(request, entering())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.HandOver(t.Context(), shown, entering()); err != nil {
			t.Fatal(err)
		}
		s, err := citizen.ReadAct(act.JWS)
		if err != nil || s.Kind != "present_certificate" || s.Identifier.String() != "12345678Z" || s.Officer != officer {
			t.Errorf("%s: got %+v, %v, want an act about Ana (%d octets)", name, s, err, len(act.JWS))
		}
	}
	huge := w.issue(w.fnmt, anaFNMT(func(c *x509.Certificate) { c.DNSNames = []string{strings.Repeat("a.", 2000) + "es"} }))
	if _, err := d.HandOver(t.Context(), Shown{Certificate: huge.certificate}, entering()); err == nil {
		t.Error("got a certificate handed over that no act has room for, want it refused")
	}
}
