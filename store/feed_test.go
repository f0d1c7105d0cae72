package store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// archive is a database with a hierarchy that has no keys.
type archive struct {
	*testing.T

	url pgtest.Database
	db  *store.DB
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	a := &archive{T: t, url: pgtest.New(t, store.Migrate)}
	a.db = a.open()
	a.sql(`INSERT INTO authorities (name, role, generation, key_label, der, issuer, created_at)
		VALUES ('root', 'root', 1, 'rubrica-root', '\x00', 'root', now()),
			('issuing-1', 'issuing', 1, 'rubrica-issuing-1', '\x00', 'root', now()),
			('issuing-2', 'issuing', 2, 'rubrica-issuing-2', '\x00', 'root', now())`)
	return a
}

func (a *archive) open() *store.DB {
	a.Helper()
	db, err := store.Open(a.Context(), a.url.Signer)
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(db.Close)
	return db
}

// sql runs a statement as the database's owner.
func (a *archive) sql(statement string, args ...any) {
	a.Helper()
	conn, err := pgx.Connect(a.Context(), a.url.Owner)
	if err != nil {
		a.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the test is over by then
	if _, err := conn.Exec(a.Context(), statement, args...); err != nil {
		a.Fatalf("running %s: %v", statement, err)
	}
}

// value reads one value as the database's owner.
func value[T any](a *archive, query string, args ...any) T {
	a.Helper()
	conn, err := pgx.Connect(a.Context(), a.url.Owner)
	if err != nil {
		a.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the test is over by then
	var v T
	if err := conn.QueryRow(a.Context(), query, args...).Scan(&v); err != nil {
		a.Fatalf("reading %s: %v", query, err)
	}
	return v
}

// service records a member whose certificate names a list: its revocation goes
// the way of citizens'.
func (a *archive) service(n int, shard string, key *ecdsa.PrivateKey) ca.Member {
	a.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(0x100000 + n)), Subject: pkix.Name{CommonName: "TSA"},
		NotBefore: time.Now(), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		a.Fatal(err)
	}
	m := ca.Member{
		Name: fmt.Sprintf("tsa-%d", n), Role: ca.RoleTSA, Generation: n, KeyLabel: fmt.Sprintf("rubrica-tsa-%d", n),
		Token: ca.ServiceToken, DER: der, Issuer: "issuing-1", Shard: shard,
	}
	err = a.db.RecordCeremony(a.Context(), store.Ceremony{Step: m.Name, Members: []ca.Member{m}},
		audit.Entry{Type: audit.KeyCeremony, Operation: "test", At: time.Now()})
	if err != nil {
		a.Fatal(err)
	}
	return m
}

func (a *archive) shard(issuer string, now time.Time) string {
	a.Helper()
	name, err := a.db.Shard(a.Context(), issuer, now)
	if err != nil {
		a.Fatal(err)
	}
	return name
}

// Whoever reads the feed by number misses nothing, however many transactions
// commit at once and however long each takes between its number and its commit.
func TestFeedMissesNothing(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 20
	shard := a.shard("issuing-1", time.Now())
	want := map[string]bool{}
	for n := range writers * each {
		want[fmt.Sprintf("%x", 0x100000+n+1)] = true
		a.service(n+1, shard, key)
	}
	// A number is taken before its row is there to be seen; this makes the gap wide.
	a.sql(`CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(random() * 0.01); RETURN NULL; END $$`)
	a.sql(`CREATE TRIGGER dawdle AFTER INSERT ON certificate_changes FOR EACH ROW EXECUTE FUNCTION dawdle()`)

	var committing errgroup.Group
	for w := range writers {
		db := a.open()
		committing.Go(func() error {
			for n := range each {
				name := fmt.Sprintf("tsa-%d", w*each+n+1)
				err := db.RevokeMember(a.Context(), name, ca.CessationOfOperation, nil,
					audit.Entry{
						Type: audit.AuthorityRevoked, Operation: name, At: time.Now(),
						Payload: map[string]any{"member": name, "serial": "1", "reason": int(ca.CessationOfOperation)},
					})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	done := make(chan error)
	go func() { done <- committing.Wait() }()

	got, seen := map[string]bool{}, int64(0)
	read := func() {
		changes, err := a.db.CertificateChanges(a.Context(), seen)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if c.Seq <= seen || got[c.Serial] || c.Issuer != "issuing-1" || c.Shard != shard {
				t.Fatalf("got %+v after %d", c, seen)
			}
			seen, got[c.Serial] = c.Seq, true
		}
	}
	for open := true; open; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			open = false
		default:
		}
		read()
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("what a reader saw (-want +got):\n%s", diff)
	}
	if last, err := a.db.LastCertificateChange(t.Context()); err != nil || last != seen {
		t.Errorf("the feed stands at %d (%v), want %d", last, err, seen)
	}
}

// What is forgotten is what nobody needs: the newest number of the feed and the
// newest list of a shard stay, however old, so that both go on counting.
func TestForgetPublished(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	now := time.Now().UTC().Truncate(time.Second)
	shard := a.shard("issuing-1", now)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	for n, age := range []time.Duration{72 * time.Hour, 25 * time.Hour, 25 * time.Hour} {
		a.sql(`INSERT INTO certificate_changes (serial, issuer, shard, at) VALUES ($1, 'issuing-1', $2, $3)`, fmt.Sprint(n), shard, ago(age))
	}
	for n, ended := range []time.Duration{90 * day, 31 * day, 29 * day, 60 * day} {
		published, err := a.db.PublishList(t.Context(), shard, ca.PublishedList{
			Number: int64(n + 1), DER: []byte{1}, Digest: []byte{1}, ThisUpdate: ago(ended + 7*day), NextUpdate: ago(ended),
		})
		if err != nil || !published {
			t.Fatalf("storing list %d: %t, %v", n+1, published, err)
		}
	}
	a.sql(`INSERT INTO ocsp_answers (serial, status_version, der, this_update, next_update)
		VALUES ('old', 1, '\x00', $1, $1), ('new', 1, '\x00', $1, $2)`, ago(2*day), now.Add(time.Second))
	for range 2 { // the second finds nothing
		if err := a.db.ForgetPublished(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]string{
		`SELECT string_agg(serial, ' ' ORDER BY seq) FROM certificate_changes`: "2",
		`SELECT string_agg(number::text, ' ' ORDER BY number) FROM crls`:       "3 4",
		`SELECT string_agg(serial, ' ') FROM ocsp_answers`:                     "new",
	} {
		if got := value[string](a, query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	if last, err := a.db.LastCertificateChange(t.Context()); err != nil || last != 3 {
		t.Errorf("the feed stands at %d (%v), want 3", last, err)
	}
}
