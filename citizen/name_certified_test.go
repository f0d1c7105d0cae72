package citizen_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/citizen"
)

// What ParseName accepts, the certification authority certifies: nobody is
// registered under a name that no certificate can bear.
func TestEveryNameIsCertified(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	certificate, err := ca.CreateRoot(ca.Root{
		Name:      ca.Name{Country: "ES", Organisation: "Pruebas", CommonName: "Raíz"},
		NotBefore: now, NotAfter: now.AddDate(20, 0, 0),
	}, key, lint.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ca.New(ca.Config{
		Certificate: certificate, Signer: key, Addresses: ca.Addresses{Issuer: "http://ca.example/root.cer"}, Lint: lint.Certificate,
	})
	if err != nil {
		t.Fatal(err)
	}
	// Letters of all kinds, those of other scripts and signs among them, so
	// that both answers are drawn.
	letter := rapid.OneOf(
		rapid.SampledFrom([]rune("aeioumnñçŀ·' -.ªº’àéëïß\u0300\u0327\u034f\u02bcßøŧŋɛ")),
		rapid.Rune(), rapid.RuneFrom([]rune("abcdefghijklmnopqrstuvwxyz ")), rapid.RuneFrom([]rune("abcdefghijklmnopqrstuvwxyz ")),
	)
	part := rapid.OneOf(
		rapid.StringOfN(letter, 1, 110, -1), rapid.StringMatching(`\p{Latin}[\p{Latin}\p{Mn} '’.·-]{0,110}`),
		rapid.StringMatching(`[A-ZÑ][a-zñç·' -]{0,98}`), rapid.StringMatching(`[A-ZÑ][a-zñç·' -]{60,99}`),
	)
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		name, err := citizen.ParseName(part.Draw(t, "given"), part.Draw(t, "surnames"))
		if err != nil {
			return
		}
		accepted++
		prepared, err := authority.Prepare(ca.Request{
			Identifier: "12345678Z", GivenName: name.Given(), Surnames: name.Surnames(), PublicKey: key.Public(),
			NotBefore: now, NotAfter: now.AddDate(4, 0, 0), CRL: "http://ca.example/root.crl",
		})
		if err != nil {
			t.Fatalf("Prepare(%q, %q): %v", name.Given(), name.Surnames(), err)
		}
		der, err := authority.Issue(prepared)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		cn, found := strings.CutSuffix(c.Subject.CommonName, " - 12345678Z")
		if !found || utf8.RuneCountInString(c.Subject.CommonName) > 64 || !norm.NFC.IsNormalString(cn) || !strings.HasPrefix(name.String(), cn) {
			t.Errorf("common name of %q: got %q", name, c.Subject.CommonName)
		}
		if rest := strings.TrimPrefix(name.String(), cn); strings.Contains(cn, " ") && rest != "" && rest[0] != ' ' {
			t.Errorf("common name of %q: got %q, cut within a word", name, c.Subject.CommonName)
		}
	})
	if accepted == 0 {
		t.Error("no name was accepted: nothing was tried")
	}
}
