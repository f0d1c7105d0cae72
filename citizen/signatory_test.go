package citizen_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
)

func inPEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// What it signs is what the desk reads, whatever the caller says of the members
// that are the signatory's own.
func TestSignatory(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Second).UTC()
	s, err := citizen.ReadSignatory(citizen.SignatoryConfig{
		Office: "office-1", Audience: "https://firma.example.es", PrivateKey: inPEM(t, key), Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for range 2 {
		act, err := s.Sign(map[string]any{
			"act": "block", "officer": "Rosa Gil", "identifier": "12345678Z", "reason": "Ha perdido el móvil", "iss": "another", "jti": "short",
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := citizen.ReadAct(act.JWS)
		if err != nil {
			t.Fatal(err)
		}
		if act.Office != "office-1" || got.Office != "office-1" || got.Audience != "https://firma.example.es" || !got.At.Equal(now) {
			t.Errorf("got office %q, %q, audience %q, at %v", act.Office, got.Office, got.Audience, got.At)
		}
		if got.Kind != citizen.ActBlock || got.Officer != "Rosa Gil" || got.Identifier.String() != "12345678Z" || got.Reason != "Ha perdido el móvil" {
			t.Errorf("got %+v", got)
		}
		ids[got.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("got ids %v, want one an act", ids)
	}
}

func TestSignatoryRefusesKeys(t *testing.T) {
	t.Parallel()
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"nothing": "", "no key": "-----BEGIN X-----\nAA==\n-----END X-----\n", "P-384": inPEM(t, other), "RSA": inPEM(t, foreign)} {
		if _, err := citizen.ReadSignatory(citizen.SignatoryConfig{PrivateKey: text, Now: time.Now}); err == nil {
			t.Errorf("%s: got a signatory", name)
		}
	}
}
