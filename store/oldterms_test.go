package store_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// What the migration finds in entries of older versions is what audit.Terms
// finds in them, for a verification compares the two.
func TestTermsOfOlderEntries(t *testing.T) {
	t.Parallel()
	l := newLedger(t, pgtest.New(t, store.Migrate))
	sum := strings.Repeat("0f", 32)
	older := []struct {
		kind    audit.EventType
		payload string
	}{
		{audit.RegistrationCreated, `{"citizen":"C","level":"advanced","mode":"office","office":"Oficina","officer":"office: Rosa (act J)","person":"12345678Z"}`},
		{audit.ActivationFailed, `{"address":"192.0.2.1","person":"12345678Z","reason":"activation_mismatch"}`},
		{audit.OfficeActRefused, `{"office":"office","reason":"office_act_invalid: signature"}`},
		{audit.CitizenSealBroken, `{"reason":"version","version":3}`},
		{audit.CitizenBlocked, `{"by":"office","from":"active","reason":"Ha perdido el móvil: bloquear","to":"blocked"}`},
		{audit.AuthLocked, `{"address":"192.0.2.1","factor":"knowledge","reason":"password_locked"}`},
		{audit.CodeFailed, `{"attempt":1,"purpose":"signature"}`},
		{audit.CertificateIntent, `{"credential":"K","issuer":"issuing-1","serial":"7f","tbs_sha256":"` + sum + `"}`},
		{audit.CertificateRefused, `{"facts":{"years":"5"},"reason":"registration_too_old","source":"x"}`},
		{audit.CertificateInterrupted, `{"id":"7f"}`},
		{audit.CertificateRevoked, `{"issuer":"issuing-1","reason":5,"serial":"7f"}`},
		{audit.KeyRevoked, `{"by":"citizen","from":"active","reason":"revocation","to":"active"}`},
		{audit.KeyGenerated, `{"algorithm":"rsa-3072","credential":"K","generation":2,"keeper":"sealed","kek":1}`},
		{audit.SignRequested, `{"application":"sede","documents":[{"bytes":9,"format":"pades","name":"a.pdf","ordinal":1,"sha256":"` + sum + `"},{"ordinal":2,"sha256":"` + sum + `"}],"title":"x"}`},
		{audit.SignShown, `{"documents":[{"digest":"aa","hash":"2.16.840.1.101.3.4.2.1","name":"a.pdf","ordinal":1,"sha256":"` + sum + `"}],"reference":"ABCD"}`},
		{audit.SignAuthorised, `{"application":"sede","authorisation":"A","documents":[{"digest":"aa","format":"pades","hash":"2.16","ordinal":1}],"serial":"7f"}`},
		{audit.SignIntent, `{"authorisation":"A","documents":[{"digest":"aa","dtbs_r":"bb","hash":"2.16","ordinal":1}],"serial":"7f"}`},
		{audit.SignDone, `{"authorisation":"A","serial":"7f","signatures":["` + sum + `"]}`},
		{audit.SignFailed, `{"authorisation":"A"}`},
		{audit.SignExpired, `{"id":"R"}`},
		{audit.SignDenied, `{"authorisation":"A","differs":"documents","reason":"authorisation_invalid"}`},
		{audit.ApplicationAdded, `{"name":"Sede","organisation":"Ayuntamiento","return_addresses":null,"scopes":["sign"]}`},
		{audit.KeyCeremony, `{"entries":1,"list":"root","number":2,"sha256":"` + sum + `"}`},
		{audit.AuthorityIntent, `{"name":"ocsp-1","serial":"8a","tbs_sha256":"` + sum + `"}`},
		{audit.AuthorityIssued, `{"member":"root","role":"root","serial":"8b","sha256":"` + sum + `"}`},
		{audit.AuthorityRevoked, `{"member":"tsa-1","reason":1,"serial":"8c"}`},
		{audit.ServiceStarted, `{"version":"1"}`},
	}
	for seq, e := range older {
		_, err := l.conn.Exec(t.Context(), `
			INSERT INTO log_entries (seq, type, operation, person, at, leaf, payload, salt)
			VALUES (@seq, @type, 'op', '', @at, @leaf, @payload, @leaf)`, pgx.NamedArgs{
			"seq": seq, "type": e.kind, "at": time.Now(), "leaf": make([]byte, 32), "payload": []byte(e.payload),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	l.sql(termsOfMigration(t))

	rows, err := l.conn.Query(t.Context(), `SELECT seq, kind, value FROM log_terms ORDER BY seq, kind, value`)
	if err != nil {
		t.Fatal(err)
	}
	var (
		got  = make([][]audit.Term, len(older))
		seq  int
		term audit.Term
	)
	_, err = pgx.ForEachRow(rows, []any{&seq, &term.Kind, &term.Value}, func() error {
		got[seq] = append(got[seq], term)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for seq, e := range older {
		want, err := audit.Terms(e.kind, []byte(e.payload))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got[seq]); diff != "" {
			t.Errorf("%s (-schemas +migration):\n%s", e.kind, diff)
		}
		found += len(want)
	}
	if found < 20 {
		t.Errorf("found %d terms in all, want many", found)
	}
}

// termsOfMigration is the one statement of the migration that finds them.
func termsOfMigration(t *testing.T) string {
	t.Helper()
	migration, err := os.ReadFile("migrations/00007_log.sql")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "INSERT INTO log_terms", ";"
	_, rest, begun := strings.Cut(string(migration), begin)
	statement, _, ended := strings.Cut(rest, end)
	if !begun || !ended {
		t.Fatal("the migration looks for no terms")
	}
	return begin + statement
}
