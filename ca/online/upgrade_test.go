package online_test

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/internal/catest"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// oldHouse is what a deployment of the version before left: one authority, one
// list of everything, no services.
func oldHouse(t *testing.T) (h *house, good, revoked issued) {
	t.Helper()
	pgtest.New(t, store.Migrate) // lets the service roles into the cluster
	h = &house{T: t, url: pgtest.New(t, nil), token: hsmtest.New(t), clock: &clock{}}
	h.goose(4)
	now := h.clock.Now().AddDate(0, 0, -10)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	rootKey, err := h.token.CreateServiceKey(t.Context(), "rubrica-root", "ec-p256")
	must(err)
	key, err := h.token.CreateServiceKey(t.Context(), "rubrica-issuing", "ec-p256")
	must(err)
	h.root, err = ca.CreateRoot(ca.Root{
		Name: ca.Name{Country: "ES", Organisation: "Pruebas", CommonName: "Raíz"}, NotBefore: now, NotAfter: now.AddDate(20, 0, 0),
	}, rootKey, lint.Certificate)
	must(err)
	issuing, err := ca.CreateIssuing(ca.Issuing{
		Name: ca.Name{Country: "ES", Organisation: "Pruebas", CommonName: "Ciudadanos"}, NotBefore: now, NotAfter: now.AddDate(10, 0, 0),
		PublicKey: key.Public(), Addresses: ca.Addresses{Issuer: catest.Base + "/ca/root.cer"}, CRL: catest.Base + "/ca/root.crl",
	}, h.root, rootKey, lint.Certificate)
	must(err)
	h.sql(`INSERT INTO authorities (name, key_label, der, created_at) VALUES ('root', 'rubrica-root', $1, $3), ('issuing', 'rubrica-issuing', $2, $3)`,
		h.root.Raw, issuing.Raw, now)

	authority, err := ca.New(ca.Config{
		Certificate: issuing, Signer: key, Lint: lint.Certificate,
		Addresses: ca.Addresses{Issuer: catest.Base + "/ca/issuing.cer", OCSP: catest.Base + "/ocsp"},
	})
	must(err)
	h.person()
	certify := func() issued {
		r := h.request()
		r.NotBefore, r.CRL = now, catest.Base+"/ca/issuing.crl"
		prepared, err := authority.Prepare(r)
		must(err)
		der, err := prepared.Issue()
		must(err)
		c, err := x509.ParseCertificate(der)
		must(err)
		i := issued{c, ca.Place{Issuer: "issuing-1", Shard: "issuing"}}
		h.sql(`INSERT INTO certificates (serial, credential_id, state, der, not_before, not_after, lease_until, request_id) VALUES ($1, 'k', 'issued', $2, $3, $4, $3, 'r')`,
			i.serial(), der, c.NotBefore, c.NotAfter)
		return i
	}
	good, revoked = certify(), certify()
	h.sql(`UPDATE certificates SET revoked_at = $2, reason = 1 WHERE serial = $1`, revoked.serial(), now.Add(time.Hour))
	for number := range int64(3) {
		this := now.Add(time.Duration(number+1) * time.Hour)
		list := &x509.RevocationList{Number: big.NewInt(number + 1), ThisUpdate: this, NextUpdate: this.AddDate(0, 0, 7)}
		if number > 0 {
			list.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: revoked.SerialNumber, RevocationTime: now.Add(time.Hour), ReasonCode: 1}}
		}
		der, err := x509.CreateRevocationList(rand.Reader, list, issuing, key)
		must(err)
		h.sql(`INSERT INTO crls (issuer, number, der, this_update, next_update) VALUES ('issuing', $1, $2, $3, $4)`, number+1, der, list.ThisUpdate, list.NextUpdate)
	}
	h.sql(`INSERT INTO crls (issuer, number, der, this_update, next_update) VALUES ('root', 1, $1, $2, $3)`, h.rootList(), now, now.AddDate(0, 6, 0))
	return h, good, revoked
}

func (h *house) goose(version int64) {
	h.Helper()
	config, err := pgx.ParseConfig(h.url.Owner)
	if err != nil {
		h.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close() //nolint:errcheck // the test is over by then
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("../../store/migrations"))
	if err != nil {
		h.Fatal(err)
	}
	if _, err := provider.UpTo(h.Context(), version); err != nil {
		h.Fatal(err)
	}
}

// A deployment of the version before goes on: what it issued, it revokes, lists
// and stands for; what it issues now has lists by year.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	h, good, revoked := oldHouse(t)
	for range 2 { // the second changes nothing
		if err := store.Migrate(t.Context(), h.url.Owner); err != nil {
			t.Fatal(err)
		}
	}
	h.db = h.open()
	hierarchy, err := h.db.Hierarchy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var members []string
	for _, m := range hierarchy {
		members = append(members, strings.Join([]string{m.Name, string(m.Role), m.KeyLabel, m.Token, m.Issuer}, " "))
	}
	if diff := cmp.Diff([]string{"issuing-1 issuing rubrica-issuing service root", "root root rubrica-root service root"}, members); diff != "" {
		t.Errorf("hierarchy (-want +got):\n%s", diff)
	}
	if got, want := value[string](h, `SELECT string_agg(format('%s %s %s', name, issuer, issued), ', ' ORDER BY name) FROM crl_shards`), "issuing issuing-1 2, root root 0"; got != want {
		t.Errorf("got the shards %q, want %q", got, want)
	}
	if got, want := value[string](h, `SELECT string_agg(step, ' ') FROM ceremony_steps`), "ceremony-1"; got != want {
		t.Errorf("got the steps %q, want %q", got, want)
	}

	p := h.process()
	p.keep()
	p.twoTurns()
	if got, want := h.says("issuing"), "4: "+revoked.serial()+"/1"; got != want {
		t.Errorf("got the list %q, want %q", got, want)
	}
	if h.list("root").Number.Int64() != 1 {
		t.Error("the root's list was touched")
	}
	if err := h.path(good); err != nil {
		t.Errorf("BouncyCastle on an old certificate: %v", err)
	}
	if err := h.path(revoked); err == nil {
		t.Error("BouncyCastle accepts what was revoked")
	}
	h.revoke(good, ca.Superseded)
	p.twoTurns()
	if l := h.list("issuing"); l.Number.Int64() != 5 || len(l.RevokedCertificateEntries) != 2 {
		t.Errorf("got the list %q", h.says("issuing"))
	}

	fresh := p.issue()
	if !strings.HasPrefix(fresh.place.Shard, "issuing-1-") || fresh.IssuingCertificateURL[0] != catest.Base+"/ca/issuing-1.cer" {
		t.Errorf("got %+v of %v", fresh.place, fresh.IssuingCertificateURL)
	}
	p.twoTurns()
	if err := h.path(fresh); err != nil {
		t.Errorf("BouncyCastle on a new certificate: %v", err)
	}
	if chain, err := p.Chain(good.Certificate); err != nil || len(chain) != 1 {
		t.Errorf("got the chain %v, %v", chain, err)
	}
	if response, err := p.TimeStamp(t.Context(), stampQuery(t)); err == nil {
		t.Errorf("got the stamp %x without a unit", response)
	}
	p.quiet() // nobody answers yet: that is no fault at each issue
}

// Nothing was ever issued nor founded: there is nothing to bring along.
func TestUpgradeOfNothing(t *testing.T) {
	t.Parallel()
	pgtest.New(t, store.Migrate)
	h := &house{T: t, url: pgtest.New(t, nil), clock: &clock{}}
	h.goose(4)
	if err := store.Migrate(t.Context(), h.url.Owner); err != nil {
		t.Fatal(err)
	}
	if n := value[int](h, `SELECT (SELECT count(*) FROM crl_shards) + (SELECT count(*) FROM ceremony_steps) + (SELECT count(*) FROM authorities)`); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}
