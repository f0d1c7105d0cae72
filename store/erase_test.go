package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// The numbers of remembered's entries.
const (
	sealedAt, revokedAt, issuedAt, idleAt, elsesAt = 0, 1, 2, 3, 4
	remembered                                     = 5
)

// remember makes a citizen whose certificate ended some time ago, with entries.
func (l *ledger) remember(status string, ended time.Duration) {
	l.Helper()
	now := time.Now()
	l.sql(`INSERT INTO authorities (name, role, generation, key_label, der, issuer, created_at)
		VALUES ('root', 'root', 1, 'rubrica-root', '\x00', 'root', now()), ('issuing-1', 'issuing', 1, 'rubrica-issuing-1', '\x00', 'root', now())`)
	shard, err := l.db.Shard(l.Context(), "issuing-1", now)
	if err != nil {
		l.Fatal(err)
	}
	l.sql(`INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
		VALUES ('c1', '12345678Z', 'Ana', 'Núñez', '+34', 'a@b', 'es', $1, '2040-01-01', now())`, status)
	l.sql(`INSERT INTO credentials (id, citizen_id, generation, state, algorithm, public_key, salt, argon_memory_kib, argon_passes, argon_lanes, box, created_at, password_at)
		VALUES ('k1', 'c1', 1, 'usable', 'ec-p256', '\x00', '\x00', 1, 1, 1, '\x00', now(), now())`)
	l.sql(`INSERT INTO certificates (serial, credential_id, issuer, shard, state, der, not_before, not_after, lease_until)
		VALUES ('a', 'k1', 'issuing-1', $1, 'issued', '\x00', $2::timestamptz - interval '2 years', $2, now())`, shard, now.Add(-ended))
	entry := func(kind audit.EventType, operation, person string) audit.Entry {
		schema, _ := audit.SchemaOf(kind)
		return audit.Entry{Type: kind, Operation: operation, At: now, Person: person, Payload: schema.Example()}
	}
	l.log(
		entry(audit.CitizenSealed, "c1", "12345678Z"),
		entry(audit.CertificateRevoked, "c1", "12345678Z"),
		entry(audit.CertificateIssued, "r1", "12345678Z"),
		entry(audit.ClockTrusted, "clock", ""),
		entry(audit.CertificateIssued, "r2", "87654321X"),
	)
}

func (l *ledger) count(sql string) (n int) {
	l.Helper()
	if err := l.conn.QueryRow(l.Context(), sql).Scan(&n); err != nil {
		l.Fatal(err)
	}
	return n
}

const years = 365 * 24 * time.Hour

// Who is gone for long enough is no longer in the log, and the log is whole.
func TestErasePerson(t *testing.T) {
	t.Parallel()
	l := newLedger(t, pgtest.New(t, store.Migrate))
	l.remember("deregistered", 8*years)
	before := l.whole()
	erasure := store.Erasure{Person: "12345678Z", Ended: time.Now().Add(-7 * years), Operator: "op", Reason: "retention"}
	for _, want := range []int{2, 0} { // nothing is left the second time, and nothing is recorded
		got, err := l.owner.Erase(t.Context(), erasure)
		if err != nil || got != want {
			t.Fatalf("Erase: got %d, %v, want %d", got, err, want)
		}
	}
	after := l.whole(before.Tree)
	if after.Erased != 2 || after.Unexplained != nil || after.Size != before.Size+1 {
		t.Errorf("got %d entries of which %d erased, want %d of which 2", after.Size, after.Erased, before.Size+1)
	}
	for sql, want := range map[string]int{
		`SELECT count(*) FROM log_entries WHERE person = '12345678Z'`:                                                                 1, // citizen.sealed: the record is there
		`SELECT count(*) FROM log_terms WHERE seq IN (1, 2)`:                                                                          0,
		`SELECT count(*) FROM log_terms WHERE seq = 4`:                                                                                1,
		`SELECT count(*) FROM log_entries WHERE type = 'log.erased' AND convert_from(payload, 'UTF8')::jsonb -> 'numbers' = '[1, 2]'`: 1,
		`SELECT count(*) FROM log_entries WHERE type = 'log.erased' AND convert_from(payload, 'UTF8') LIKE '%12345678Z%'`:             0,
	} {
		if got := l.count(sql); got != want {
			t.Errorf("%s: got %d, want %d", sql, got, want)
		}
	}
	l.sql(`DELETE FROM certificates`)
	l.sql(`DELETE FROM credentials`)
	l.sql(`DELETE FROM citizens`)
	erasure.Ended = time.Now().Add(time.Hour) // nobody is there: the entries' own age counts
	if got, err := l.owner.Erase(t.Context(), erasure); err != nil || got != 1 {
		t.Errorf("Erase once the record is gone: got %d, %v, want 1", got, err)
	}
	l.whole(before.Tree, after.Tree)
}

func TestEraseEntries(t *testing.T) {
	t.Parallel()
	l := newLedger(t, pgtest.New(t, store.Migrate))
	l.remember("active", -years)
	before := l.whole()
	got, err := l.owner.Erase(t.Context(), store.Erasure{Numbers: []int64{issuedAt, elsesAt, 1000}, Operator: "op", Reason: "court"})
	if err != nil || got != 2 {
		t.Fatalf("Erase: got %d, %v, want 2", got, err)
	}
	want := audit.Report{Tree: l.whole(before.Tree).Tree, Erased: 2}
	if diff := cmp.Diff(want, l.whole()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// What is refused changes nothing.
func TestEraseRefuses(t *testing.T) {
	t.Parallel()
	person := func(ended time.Time) store.Erasure {
		return store.Erasure{Person: "12345678Z", Ended: ended, Operator: "op", Reason: "retention"}
	}
	entry := func(n int64) store.Erasure {
		return store.Erasure{Numbers: []int64{idleAt, n}, Operator: "op", Reason: "court"}
	}
	now := time.Now()
	for name, tc := range map[string]struct {
		status  string
		ended   time.Duration // ago
		erasure store.Erasure
		want    error
	}{
		"registered":              {"active", 8 * years, person(now.Add(-7 * years)), store.ErrErasureEarly},
		"too early":               {"deregistered", 6 * years, person(now.Add(-7 * years)), store.ErrErasureEarly},
		"newest record":           {"deregistered", 8 * years, entry(sealedAt), store.ErrErasureNeeded},
		"status in force":         {"deregistered", -years, entry(revokedAt), store.ErrErasureNeeded},
		"why something is erased": {"deregistered", 8 * years, entry(remembered), store.ErrErasureNeeded},
		"nothing named":           {"deregistered", 8 * years, store.Erasure{Operator: "op", Reason: "x"}, store.ErrErasureUnclear},
		"both named":              {"deregistered", 8 * years, store.Erasure{Person: "x", Numbers: []int64{1}, Operator: "op", Reason: "x"}, store.ErrErasureUnclear},
		"by nobody":               {"deregistered", 8 * years, store.Erasure{Numbers: []int64{1}, Reason: "x"}, store.ErrErasureUnclear},
		"for no reason":           {"deregistered", 8 * years, store.Erasure{Numbers: []int64{1}, Operator: "op"}, store.ErrErasureUnclear},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, pgtest.New(t, store.Migrate))
			l.remember(tc.status, tc.ended)
			if _, err := l.owner.Erase(t.Context(), store.Erasure{Numbers: []int64{elsesAt}, Operator: "op", Reason: "x"}); err != nil {
				t.Fatal(err)
			}
			before := l.whole()
			if _, err := l.owner.Erase(t.Context(), tc.erasure); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if diff := cmp.Diff(before, l.whole()); diff != "" {
				t.Errorf("the log (-before +after):\n%s", diff)
			}
		})
	}
}

// The service itself cannot erase.
func TestEraseIsTheOwners(t *testing.T) {
	t.Parallel()
	l := newLedger(t, pgtest.New(t, store.Migrate))
	l.remember("deregistered", 8*years)
	if _, err := l.db.Erase(t.Context(), store.Erasure{Numbers: []int64{issuedAt}, Operator: "op", Reason: "x"}); err == nil {
		t.Error("erased in the signer's role: got no error")
	}
	if got := l.whole().Erased; got != 0 {
		t.Errorf("erased: got %d, want 0", got)
	}
}
