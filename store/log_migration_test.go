package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// old are payloads as the version before wrote them.
func old() map[audit.EventType]string {
	return map[audit.EventType]string{
		audit.SignRequested:      `{"application":"app","documents":[{"format":"pades","hash":"2.16.840.1.101.3.4.2.1","ordinal":1,"sha256":"aa01"}],"person":"12345678Z","title":"T"}`,
		audit.SignShown:          `{"documents":[{"digest":"dd01","hash":"2.16.840.1.101.3.4.2.1","ordinal":1,"sha256":"aa01"},{"ordinal":2,"sha256":"aa01"}],"person":"12345678Z"}`,
		audit.SignAuthorised:     `{"application":"app","documents":[{"digest":"dd01","ordinal":1}],"person":"12345678Z","serial":"0f"}`,
		audit.SignIntent:         `{"documents":[{"digest":"dd01","format":"pades","hash":"2.16.840.1.101.3.4.2.1","ordinal":1}],"person":"12345678Z","serial":"0f"}`,
		audit.SignDone:           `{"authorisation":"A","person":"12345678Z","serial":"0f","signatures":["ee"]}`,
		audit.SignRefused:        `{"documents":null,"person":"12345678Z"}`,
		audit.AuthFailed:         `{"factor":"password","person":"12345678Z","reason":"credentials_wrong"}`,
		audit.CitizenSealBroken:  `{"person":"12345678Z","reason":"record_tampered: seal","version":3}`,
		audit.CertificateRevoked: `{"issuer":"issuing-1","person":"12345678Z","reason":4,"serial":"0f"}`,
		audit.KeyRevoked:         `{"by":"office","person":"12345678Z","reason":"lo pide"}`,
		audit.ServiceStarted:     `{}`,
	}
}

// A log that an older version wrote goes on with the next entry, is found by
// what it says, and is whole.
func TestMigrateLog(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 2, 7, 8, 21} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			database := pgtest.New(t, nil)
			migrateTo(t, database.Owner, 6)
			conn, err := pgx.Connect(t.Context(), database.Owner)
			if err != nil {
				t.Fatalf("connecting: %v", err)
			}
			defer conn.Close(context.Background()) //nolint:errcheck // the test is over by then
			writeOld(t, conn, size)
			if err := store.Migrate(t.Context(), database.Owner); err != nil {
				t.Fatalf("migrating: %v", err)
			}
			l := newLedger(t, database)
			if got := l.whole().Size; got != int64(size) {
				t.Errorf("size: got %d, want %d", got, size)
			}
			l.log(facts("12345678Z", 0)...)
			l.whole()
		})
	}
}

func migrateTo(t *testing.T, url string, version int64) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDBFromPool(pool), os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatalf("migrating to %d: %v", version, err)
	}
}

// writeOld writes entries with what the tables had before.
func writeOld(t *testing.T, conn *pgx.Conn, size int) {
	t.Helper()
	at := time.Now().UTC().Truncate(time.Microsecond)
	var hashes []tlog.Hash
	for seq := 0; seq < size; {
		for kind, payload := range old() {
			if seq == size {
				break
			}
			salt := make([]byte, 32)
			salt[0] = byte(seq)
			leaf, err := audit.Leaf{Type: kind, Operation: "old", At: at, Commitment: sha256.Sum256(append(salt, payload...))}.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			fresh, err := tlog.StoredHashes(int64(seq), leaf, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
				found := make([]tlog.Hash, len(indexes))
				for i, index := range indexes {
					found[i] = hashes[index]
				}
				return found, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			var person string
			if kind != audit.ServiceStarted {
				person = "12345678Z"
			}
			run(t, conn, `INSERT INTO log_entries VALUES ($1, $2, 'old', $3, $4, $5, $6, $7)`, seq, string(kind), person, at, leaf, []byte(payload), salt)
			for _, h := range fresh {
				run(t, conn, `INSERT INTO log_hashes VALUES ($1, $2)`, len(hashes), h[:])
				hashes = append(hashes, h)
			}
			seq++
		}
	}
	if size > 0 {
		run(t, conn, `UPDATE log_head SET size = $1, last_time = $2`, size, at)
	}
}

func run(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
