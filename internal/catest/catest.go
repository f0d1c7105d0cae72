// Package catest founds a certification authority for tests: a hierarchy with
// keys in a token of the test, recorded as a ceremony records it, and at work.
package catest

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"log/slog"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/ca/online"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/store"
)

// Base is the address that certificates name.
const Base = "http://ca.example"

// Authority is a hierarchy under a root, with its keys.
type Authority struct {
	*online.CA
	Root *x509.Certificate
}

// Found makes root, issuing authority, responder and time-stamping unit, valid
// from now on by that clock, and puts them to work.
func Found(tb testing.TB, db *store.DB, token *hsm.Token, now func() time.Time) Authority {
	tb.Helper()
	f := founder{TB: tb, db: db, token: token, now: now()}
	rootKey := f.key("rubrica-root")
	root, err := ca.CreateRoot(ca.Root{Name: name("Raíz"), NotBefore: f.now, NotAfter: f.now.AddDate(20, 0, 0)}, rootKey, lint.Certificate)
	f.must("creating a root", err)
	f.record(ca.Member{Name: "root", Role: ca.RoleRoot, Generation: 1, KeyLabel: "rubrica-root", Issuer: "root", DER: root.Raw})
	f.Issuing(root, rootKey, 1)
	return Authority{CA: Open(tb, db, token, now), Root: root}
}

// Open puts the recorded hierarchy to work.
func Open(tb testing.TB, db *store.DB, token *hsm.Token, now func() time.Time) *online.CA {
	tb.Helper()
	authority, err := online.New(tb.Context(), online.Config{
		Store: db, Statuses: db.Statuses(), Keys: token, Base: Base, Lint: lint.Certificate,
		StampPolicy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1},
		Trusted:     func(context.Context) error { return nil }, Now: now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatalf("opening the authority: %v", err)
	}
	return authority
}

// RollOver lets another issuing authority take over, as of that moment.
func (a Authority) RollOver(tb testing.TB, db *store.DB, token *hsm.Token, now time.Time) {
	tb.Helper()
	f := founder{TB: tb, db: db, token: token, now: now}
	key, err := token.ServiceKey(tb.Context(), "rubrica-root")
	f.must("finding the root's key", err)
	h, err := db.Hierarchy(tb.Context())
	f.must("reading the hierarchy", err)
	f.Issuing(a.Root, key, h.Next(ca.RoleIssuing))
	if err := a.Refresh(tb.Context()); err != nil {
		tb.Fatalf("learning of the new authority: %v", err)
	}
}

type founder struct {
	testing.TB

	db    *store.DB
	token *hsm.Token
	now   time.Time
}

// Issuing makes an issuing authority with its services.
func (f founder) Issuing(root *x509.Certificate, rootKey crypto.Signer, generation int) {
	f.Helper()
	issuing, ocsp, tsa := ca.NameOf(ca.RoleIssuing, generation), ca.NameOf(ca.RoleOCSP, generation), ca.NameOf(ca.RoleTSA, generation)
	key := f.key("rubrica-" + issuing)
	certificate, err := ca.CreateIssuing(ca.Issuing{
		Name: name("Ciudadanos " + issuing), NotBefore: f.now, NotAfter: f.now.AddDate(10, 0, 0), PublicKey: key.Public(),
		Addresses: ca.Addresses{Issuer: Base + "/ca/root.cer"}, CRL: Base + "/ca/root.crl",
	}, root, rootKey, lint.Certificate)
	f.must("creating an issuing authority", err)
	f.record(ca.Member{Name: issuing, Role: ca.RoleIssuing, Generation: generation, KeyLabel: "rubrica-" + issuing, Issuer: "root", DER: certificate.Raw})

	authority, err := ca.New(ca.Config{
		Certificate: certificate, Signer: key, Lint: lint.Certificate,
		Addresses: ca.Addresses{Issuer: Base + "/ca/" + issuing + ".cer", OCSP: Base + "/ocsp"},
	})
	f.must("opening the issuing authority", err)
	shard, err := f.db.Shard(f.Context(), issuing, f.now)
	f.must("choosing a list", err)

	responder, err := authority.PrepareOCSP(ca.ServiceRequest{
		Name: name("OCSP " + ocsp), PublicKey: f.key("rubrica-" + ocsp).Public(), NotBefore: f.now, NotAfter: f.now.AddDate(0, 0, 90),
	})
	f.must("preparing a responder", err)
	der, err := responder.Issue()
	f.must("certifying a responder", err)
	f.record(ca.Member{Name: ocsp, Role: ca.RoleOCSP, Generation: generation, KeyLabel: "rubrica-" + ocsp, Issuer: issuing, DER: der})

	unit, err := authority.PrepareTSA(ca.ServiceRequest{
		Name: name("Sellado " + tsa), PublicKey: f.key("rubrica-" + tsa).Public(), NotBefore: f.now, NotAfter: f.now.AddDate(8, 0, 0),
		CRL: Base + "/ca/" + shard + ".crl",
	})
	f.must("preparing a time-stamping unit", err)
	der, err = unit.Issue()
	f.must("certifying a time-stamping unit", err)
	f.record(ca.Member{Name: tsa, Role: ca.RoleTSA, Generation: generation, KeyLabel: "rubrica-" + tsa, Issuer: issuing, Shard: shard, DER: der})
}

func (f founder) key(label string) crypto.Signer {
	f.Helper()
	key, err := f.token.CreateServiceKey(f.Context(), label, "ec-p256")
	f.must("creating key "+label, err)
	return key
}

func (f founder) record(m ca.Member) {
	f.Helper()
	m.Token = ca.ServiceToken
	err := f.db.RecordCeremony(f.Context(), store.Ceremony{Step: "test/" + m.Name, Members: []ca.Member{m}}, audit.Entry{
		Type: audit.KeyCeremony, Operation: "test", At: f.now, Payload: map[string]any{"member": m.Name},
	})
	f.must("recording "+m.Name, err)
}

func (f founder) must(what string, err error) {
	f.Helper()
	if err != nil {
		f.Fatalf("%s: %v", what, err)
	}
}

func name(common string) ca.Name {
	return ca.Name{Country: "ES", Organisation: "Pruebas", CommonName: common}
}
