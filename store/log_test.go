package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// ledger is a log with rows, as its writer and as its database's owner.
type ledger struct {
	*testing.T

	db, owner *store.DB
	conn      *pgx.Conn // no rule stops it
}

func newLedger(t *testing.T, database pgtest.Database) *ledger {
	t.Helper()
	l := &ledger{T: t}
	var err error
	for url, db := range map[string]**store.DB{database.Signer + "&pool_max_conns=8": &l.db, database.Owner: &l.owner} {
		if *db, err = store.Open(t.Context(), url); err != nil {
			t.Fatalf("opening the database: %v", err)
		}
		t.Cleanup((*db).Close)
	}
	if l.conn, err = pgx.Connect(t.Context(), database.Owner); err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = l.conn.Close(context.Background()) })
	return l
}

// facts are an entry that is found by a term, and one that is not.
func facts(person string, n int) []audit.Entry {
	now := time.Now()
	return []audit.Entry{
		{Type: audit.CertificateIssued, Operation: fmt.Sprintf("request-%d", n), At: now, Person: person, Payload: map[string]any{
			"credential": "K", "serial": fmt.Sprintf("%032x", n+1), "issuer": "issuing-1", "sha256": strings.Repeat("0f", 32),
		}},
		{Type: audit.ClockTrusted, Operation: "test", At: now},
	}
}

func (l *ledger) log(entries ...audit.Entry) {
	l.Helper()
	if err := l.db.Log(l.Context(), entries...); err != nil {
		l.Fatalf("appending: %v", err)
	}
}

func (l *ledger) sql(sql string, args ...any) {
	l.Helper()
	if _, err := l.conn.Exec(l.Context(), sql, args...); err != nil {
		l.Fatalf("%s: %v", sql, err)
	}
}

func (l *ledger) verify(known ...audit.Tree) (report audit.Report, err error) {
	err = l.db.Snapshot(l.Context(), func(log audit.Log) error {
		report, err = audit.Verify(l.Context(), log, known...)
		return err
	})
	return report, err
}

// whole is the tree of a log without a flaw.
func (l *ledger) whole(known ...audit.Tree) audit.Report {
	l.Helper()
	report, err := l.verify(known...)
	if err != nil {
		l.Fatalf("verifying: %v", err)
	}
	return report
}

// However many write at once, there is one tree, and nothing is missing in it.
func TestLogOfManyWriters(t *testing.T) {
	t.Parallel()
	l := newLedger(t, pgtest.New(t, store.Migrate))
	const writers, rounds = 8, 25
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := range rounds {
				if err := l.db.Log(t.Context(), facts("12345678Z", w*rounds+n)...); err != nil {
					t.Errorf("appending: %v", err)
				}
			}
		})
	}
	group.Wait()
	report := l.whole()
	if got, want := report.Size, int64(2*writers*rounds); got != want {
		t.Errorf("size: got %d, want %d", got, want)
	}
	l.log(facts("", writers*rounds)...)
	if err := l.db.Appendable(t.Context()); err != nil {
		t.Errorf("Appendable: %v", err)
	}
	if got, want := l.whole(report.Tree).Size, report.Size+2; got != want {
		t.Errorf("size: got %d, want %d", got, want)
	}
}

// What whoever has the database changes is found where it was changed.
func TestVerifyStoredLog(t *testing.T) {
	t.Parallel()
	const size = 12 // entries
	for name, tc := range map[string]struct {
		sql string
		at  int64
	}{
		"entry edited":            {`UPDATE log_entries SET payload = '{}' WHERE seq = 4`, 4},
		"entry deleted":           {`DELETE FROM log_entries WHERE seq = 4`, 4},
		"entry before the first":  {`INSERT INTO log_entries SELECT -7, type, operation, person, at, leaf FROM log_entries WHERE seq = 4`, 0},
		"entry far away":          {`INSERT INTO log_entries SELECT 1 << 40, type, operation, person, at, leaf FROM log_entries WHERE seq = 4`, size},
		"truncated":               {`DELETE FROM log_entries WHERE seq = 11`, 11},
		"salt removed":            {`UPDATE log_entries SET salt = NULL WHERE seq = 4`, 4},
		"hash edited":             {`UPDATE log_hashes SET hash = sha256(hash) WHERE index = 7`, 4},
		"hash deleted":            {`DELETE FROM log_hashes WHERE index = 7`, 4},
		"hashes that wait":        {`INSERT INTO log_hashes SELECT 1000, hash FROM log_hashes WHERE index = 7`, size},
		"hash before the first":   {`INSERT INTO log_hashes SELECT -1, hash FROM log_hashes WHERE index = 7`, size},
		"hidden from searches":    {`DELETE FROM log_terms WHERE seq = 4`, 4},
		"found as something else": {`UPDATE log_terms SET value = 'f' WHERE seq = 4 AND kind = 'certificate'`, 4},
		"found as well":           {`INSERT INTO log_terms VALUES ('reason', 'x', 4)`, 4},
		"term of nothing":         {`INSERT INTO log_terms VALUES ('reason', 'x', 100)`, 100},
		"term before the first":   {`INSERT INTO log_terms VALUES ('reason', 'x', -1)`, -1},
		"head behind":             {`UPDATE log_head SET size = size - 1`, size},
		"edge edited":             {`UPDATE log_head SET edge[1] = sha256(edge[1])`, size},
		"edge lost":               {`UPDATE log_head SET edge = '{}'`, size},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, pgtest.New(t, store.Migrate))
			for n := range size / 2 {
				l.log(facts("12345678Z", n)...)
			}
			l.whole()
			l.sql(tc.sql)
			_, err := l.verify()
			var corruption *audit.CorruptionError
			if !errors.As(err, &corruption) || corruption.Seq != tc.at {
				t.Errorf("got %v, want corruption of entry %d", err, tc.at)
			}
		})
	}
}

// A log that cannot be built upon takes nothing, and says so as a service that
// is not available.
func TestLogRefusesDamagedHead(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"edge lost":     `UPDATE log_head SET edge = '{}'`,
		"no hash in it": `UPDATE log_head SET edge[1] = '\x00'`,
		"head behind":   `UPDATE log_head SET size = size - 1, edge = edge[1:1]`, // the next entry is there already
	} {
		l := newLedger(t, pgtest.New(t, store.Migrate))
		l.log(facts("12345678Z", 0)...)
		l.sql(sql)
		for what, err := range map[string]error{"Log": l.db.Log(t.Context(), facts("", 1)...), "Appendable": l.db.Appendable(t.Context())} {
			if !errors.Is(err, policies.Refuse(policies.Unavailable)) {
				t.Errorf("%s: %s: got %v, want %s", name, what, err, policies.Unavailable)
			}
		}
	}
}
