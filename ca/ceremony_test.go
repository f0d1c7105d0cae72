package ca

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/ca/lint"
)

func TestRootAndIssuingProfiles(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	root, issuing := h.root, h.authority.Certificate
	for name, c := range map[string]*x509.Certificate{"root": root, "issuing": issuing} {
		if err := lint.Certificate(c.Raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !c.IsCA || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
			t.Errorf("%s: CA %v, key usage %b", name, c.IsCA, c.KeyUsage)
		}
		for _, e := range c.Extensions {
			if want := e.Id.String() == "2.5.29.19" || e.Id.String() == "2.5.29.15"; e.Critical != want {
				t.Errorf("%s: extension %v critical: got %v, want %v", name, e.Id, e.Critical, want)
			}
		}
	}
	if got, want := len(root.Extensions), 4; got != want || root.MaxPathLen != -1 {
		t.Errorf("root: got %d extensions and path length %d, want %d and none", got, root.MaxPathLen, want)
	}
	if got, want := len(issuing.Extensions), 7; got != want || issuing.MaxPathLen != 0 || !issuing.MaxPathLenZero {
		t.Errorf("issuing: got %d extensions and path length %d, want %d and 0", got, issuing.MaxPathLen, want)
	}
	if diff := cmp.Diff([]asn1.ObjectIdentifier{{2, 5, 29, 32, 0}}, issuing.PolicyIdentifiers); diff != "" {
		t.Errorf("issuing policies (-want +got):\n%s", diff)
	}
	if got := h.rootKey.uses.Load(); got != 2 {
		t.Errorf("uses of the root's key: got %d, want 2", got)
	}
}

func TestCeremonyRefuses(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	good := Issuing{
		Name:      Name{Country: "ES", Organisation: "Ejemplo", CommonName: "Firma 2"},
		PublicKey: ecKey(t, elliptic.P256()).Public(), NotBefore: now, NotAfter: now.AddDate(5, 0, 0),
		Addresses: Addresses{Issuer: "http://pki.example.org/root.cer"}, CRL: "http://pki.example.org/root.crl",
	}
	if _, err := CreateIssuing(good, h.root, h.rootKey, lint.Certificate); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateIssuing(good, h.root, h.key, lint.Certificate); err == nil {
		t.Error("another's key: got a certificate, want an error")
	}
	for name, change := range map[string]func(*Issuing){
		"outlives the root":  func(i *Issuing) { i.NotAfter = now.AddDate(25, 0, 0) },
		"precedes the root":  func(i *Issuing) { i.NotBefore = now.AddDate(-2, 0, 0) },
		"empty validity":     func(i *Issuing) { i.NotAfter = i.NotBefore },
		"no CRL address":     func(i *Issuing) { i.CRL = "" },
		"no organisation":    func(i *Issuing) { i.Name.Organisation = "" },
		"country of 3":       func(i *Issuing) { i.Name.Country = "ESP" },
		"name of 65 letters": func(i *Issuing) { i.Name.CommonName = strings.Repeat("ñ", 65) },
		"no key":             func(i *Issuing) { i.PublicKey = nil },
	} {
		i := good
		change(&i)
		if _, err := CreateIssuing(i, h.root, h.rootKey, lint.Certificate); err == nil {
			t.Errorf("%s: got a certificate, want an error", name)
		}
	}
	if _, err := CreateRoot(Root{Name: good.Name, NotBefore: now, NotAfter: now}, h.rootKey, lint.Certificate); !errors.Is(err, ErrRequest) {
		t.Errorf("root without validity: got %v, want ErrRequest", err)
	}
}

func TestCRL(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	revoked := h.issue(t, request(ecKey(t, elliptic.P256()).Public()))
	held := h.issue(t, request(ecKey(t, elliptic.P256()).Public()))
	good := h.issue(t, request(ecKey(t, elliptic.P256()).Public()))
	der, err := h.authority.CRL(List{
		Number: 7, ThisUpdate: now, NextUpdate: now.Add(24 * time.Hour),
		Revoked: []Revocation{
			{Serial: revoked.SerialNumber.Bytes(), At: now.Add(-time.Hour), Reason: KeyCompromise},
			{Serial: held.SerialNumber.Bytes(), At: now.Add(-time.Minute)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	rootCRL, err := CRL(List{Number: 1, ThisUpdate: now, NextUpdate: now.AddDate(1, 0, 0)}, h.root, h.rootKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := directory(t.TempDir())
	list := dir.write(t, "list.pem", "X509 CRL", der)
	issuing := dir.write(t, "issuing.pem", "CERTIFICATE", h.authority.Certificate.Raw)
	text := openssl(t, "crl", "-in", list, "-noout", "-text", "-verify", "-CAfile", issuing)
	for _, want := range []string{
		"verify OK", "Version 2", "X509v3 CRL Number: \n                7", "X509v3 Authority Key Identifier",
		"Next Update: Mar 11 12:00:00 2026 GMT", "Key Compromise", "Revocation Date: Mar 10 11:59:00 2026 GMT",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("openssl crl: got %s, want %q in it", text, want)
		}
	}
	if got := strings.Count(text, "X509v3 CRL Reason Code"); got != 1 {
		t.Errorf("reason codes: got %d, want 1: unspecified is left out (RFC 5280, section 5.3.1)", got)
	}
	root := dir.write(t, "root.pem", "CERTIFICATE", h.root.Raw)
	rootList := dir.write(t, "rootlist.pem", "X509 CRL", rootCRL)
	arguments := []string{
		"verify", "-x509_strict", "-crl_check_all", "-attime", "1773144000", "-CAfile", root, "-untrusted", issuing, "-CRLfile", list, "-CRLfile", rootList,
	}
	openssl(t, append(arguments, dir.write(t, "good.pem", "CERTIFICATE", good.Raw))...)
	if out := opensslFails(t, append(arguments, dir.write(t, "revoked.pem", "CERTIFICATE", revoked.Raw))...); !strings.Contains(out, "certificate revoked") {
		t.Errorf("openssl verify of a revoked certificate: got %s", out)
	}
}

func TestCRLIsOrdered(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	a, b := Revocation{Serial: []byte{2}, At: now}, Revocation{Serial: []byte{1, 0}, At: now}
	for _, revoked := range [][]Revocation{{a, b}, {b, a}} {
		der, err := h.authority.CRL(List{Number: 1, ThisUpdate: now, NextUpdate: now.Add(time.Hour), Revoked: revoked})
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.RevokedCertificateEntries[0].SerialNumber.Int64(); got != 2 {
			t.Errorf("first serial: got %d, want 2", got)
		}
	}
}

func TestCRLRefuses(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	good := List{Number: 1, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	for name, change := range map[string]func(*List){
		"no number":    func(l *List) { l.Number = 0 },
		"no update":    func(l *List) { l.NextUpdate = l.ThisUpdate },
		"no serial":    func(l *List) { l.Revoked = []Revocation{{At: now}} },
		"serial twice": func(l *List) { l.Revoked = []Revocation{{Serial: []byte{1}, At: now}, {Serial: []byte{0, 1}, At: now}} },
		"nothing":      func(l *List) { *l = List{} },
	} {
		l := good
		change(&l)
		if _, err := h.authority.CRL(l); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: got %v, want ErrRequest", name, err)
		}
	}
	if _, err := CRL(good, h.root, h.key); err == nil {
		t.Error("another's key: got a list, want an error")
	}
}
