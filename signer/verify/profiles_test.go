package verify_test

import (
	"crypto"
	"crypto/x509"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// ownWorld is a hierarchy with the profiles that the service's own authority has,
// critical extensions, lists in shards and all.
func ownWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{}
	keyOf := func() crypto.Signer { return certify(tb, "key", nil, nil).key }
	named := func(common string) ca.Name {
		return ca.Name{Country: "ES", Organisation: "Pruebas", CommonName: common}
	}
	start := day(-1)
	w.root.key = keyOf()
	var err error
	w.root.Certificate, err = ca.CreateRoot(ca.Root{Name: named("Raíz"), NotBefore: start, NotAfter: start.AddDate(20, 0, 0)}, w.root.key, lint.Certificate)
	must(tb, err)
	w.issuing = entity{key: keyOf(), issuer: &w.root}
	w.issuing.Certificate, err = ca.CreateIssuing(ca.Issuing{
		Name: named("Ciudadanos"), NotBefore: start, NotAfter: start.AddDate(10, 0, 0), PublicKey: w.issuing.key.Public(),
		Addresses: ca.Addresses{Issuer: "http://ca.example/ca/root.cer"}, CRL: "http://ca.example/ca/root.crl",
	}, w.root.Certificate, w.root.key, lint.Certificate)
	must(tb, err)
	authority, err := ca.New(ca.Config{
		Certificate: w.issuing.Certificate, Signer: w.issuing.key, Lint: lint.Certificate,
		Addresses: ca.Addresses{Issuer: "http://ca.example/ca/issuing-1.cer", OCSP: "http://ca.example/ocsp"},
	})
	must(tb, err)
	issue := func(prepare func(key crypto.PublicKey) (*ca.Prepared, error)) entity {
		key := keyOf()
		p, err := prepare(key.Public())
		must(tb, err)
		der, err := authority.Issue(p)
		must(tb, err)
		c, err := x509.ParseCertificate(der)
		must(tb, err)
		return entity{c, key, &w.issuing}
	}
	w.responder = issue(func(key crypto.PublicKey) (*ca.Prepared, error) {
		return authority.PrepareOCSP(ca.ServiceRequest{Name: named("OCSP"), PublicKey: key, NotBefore: start, NotAfter: start.AddDate(0, 0, 90)})
	})
	w.unit = issue(func(key crypto.PublicKey) (*ca.Prepared, error) {
		return authority.PrepareTSA(ca.ServiceRequest{Name: named("Sellado"), PublicKey: key, NotBefore: start, NotAfter: start.AddDate(8, 0, 0), CRL: servicesList})
	})
	w.signer = issue(func(key crypto.PublicKey) (*ca.Prepared, error) {
		return authority.Prepare(ca.Request{
			Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez Pérez", PublicKey: key, NotBefore: start, NotAfter: start.AddDate(4, 0, 0),
			CRL: "http://ca.example/ca/citizens.crl",
		})
	})
	return w
}

// TestOwnProfiles is a citizen's signature as the service makes it, at its highest
// level, a year later.
func TestOwnProfiles(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	document := w.store(t, w.signPDF(t, sample(t), w.signer, pades.Options{}, day(0)), w.evidence(t, day(0).Add(time.Minute)))
	document = w.stampPDF(t, document, w.unit, day(1))
	r := checkPDF(t, w.verifier(day(2)), document)
	expect(t, r, outcome{verify.Passed, "", cades.BLTA})
	if got, want := r.Signatures[0].Signer.Identifier, "IDCES-12345678Z"; got != want {
		t.Errorf("got signer %s, want %s", got, want)
	}
	at := day(400)
	lists := cades.Evidence{CRLs: [][]byte{w.crl(t, w.root, at), w.services(t, at)}}
	expect(t, checkPDF(t, w.verifier(at, lists), document), outcome{verify.Passed, "", cades.BLTA})
}
