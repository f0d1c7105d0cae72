package augment_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/internal/catest"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// published is what the service publishes: the hierarchy, and the root's list.
type published struct {
	db   *store.DB
	list []byte
}

func (p published) AuthorityDER(ctx context.Context, name string) ([]byte, error) {
	hierarchy, err := p.db.Hierarchy(ctx)
	member, ok := hierarchy.Named(name)
	if err == nil && !ok {
		err = policies.Refuse(policies.NotFound)
	}
	return member.DER, err
}

func (p published) RevocationList(_ context.Context, shard string) (ca.PublishedList, error) {
	if shard != "root" {
		return ca.PublishedList{}, policies.Refuse(policies.NotFound)
	}
	return ca.PublishedList{DER: p.list}, nil
}

// TestOwnAuthority: the authority of the service itself, with its keys in a
// token, carries a signature of a citizen's to B-LTA without any network.
func TestOwnAuthority(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t, store.Migrate)
	db, err := store.Open(t.Context(), url.Signer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	token := hsmtest.New(t)
	authority := catest.Found(t, db, token, time.Now)
	signer := citizen(t, url.Owner, authority)

	rootKey, err := token.ServiceKey(t.Context(), "rubrica-root")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now.Add(-time.Minute), NextUpdate: now.AddDate(0, 6, 0),
	}, authority.Root, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	trust := func(context.Context) ([]*x509.Certificate, error) { return []*x509.Certificate{authority.Root}, nil }
	collector, err := augment.NewCollector(augment.CollectorConfig{
		Trust: trust, Now: time.Now,
		Libraries: []augment.Library{augment.Own{Bases: []string{catest.Base}, Published: published{db, list}, Responder: authority}},
	})
	if err != nil {
		t.Fatal(err)
	}
	stamps, err := augment.NewStamps(augment.StampsConfig{
		Trust: trust, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Sources: []augment.Source{{Name: "own", Authority: authority}},
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := augment.New(augment.Config{Stamper: stamps, Evidence: collector, Trust: trust, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	content := []byte("Solicitud de ayuda al alquiler\r\n")
	der := signer.Sign(t, content, crypto.SHA256)
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.CMS(t.Context(), m, 0, func() (io.Reader, error) { return bytes.NewReader(content), nil }, cades.BLTA)
	if err != nil || got != cades.BLTA {
		t.Fatalf("got %s, %v, want %s", got, err, cades.BLTA)
	}
	if len(m.OCSPs()) != 2 || len(m.CRLs()) != 1 || len(m.Certificates) < 5 {
		t.Errorf("got %d answers, %d lists and %d certificates, want those of signer, unit, authority, responder and root",
			len(m.OCSPs()), len(m.CRLs()), len(m.Certificates))
	}
	var out bytes.Buffer
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	if text, err := signer.OpenSSL(t, out.Bytes(), content); err != nil {
		t.Errorf("openssl cms -verify: %v\n%s", err, text)
	}
}

// citizen is one of the authority's, recorded as the signer does.
func citizen(t *testing.T, owner string, authority catest.Authority) *cmstest.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	prepared, place, err := authority.Prepare(t.Context(), ca.Request{
		Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez Pérez", PublicKey: key.Public(), NotBefore: now, NotAfter: now.AddDate(4, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	der, err := authority.Issue(prepared)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the test is over by then
	err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		for _, s := range []struct {
			statement string
			args      []any
		}{
			{`INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
				VALUES ('c', '12345678Z', 'Ana', 'Núñez', '+34600000001', 'a@b', 'es', 'active', '2040-01-01', now())`, nil},
			{`INSERT INTO credentials (id, citizen_id, generation, state, salt, argon_memory_kib, argon_passes, argon_lanes, box, created_at, password_at)
				VALUES ('k', 'c', 1, 'empty', '\x00', 1, 1, 1, '\x00', now(), now())`, nil},
			{
				`INSERT INTO certificates (serial, issuer, shard, credential_id, state, der, not_before, not_after, lease_until)
				VALUES ($1, $2, $3, 'k', 'issued', $4, $5, $6, $5)`,
				[]any{fmt.Sprintf("%x", c.SerialNumber.Bytes()), place.Issuer, place.Shard, der, c.NotBefore, c.NotAfter},
			},
		} {
			if _, err := tx.Exec(t.Context(), s.statement, s.args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return &cmstest.Signer{Key: key, Certificate: c, Root: authority.Root}
}
