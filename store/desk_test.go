package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// The desk reads citizens and decides what waits; whatever decides over a
// signature it can neither read nor write, and of the log it sees what became of
// registrations.
func TestDeskGrants(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, store.Migrate)
	conn := as(t, db.Registrar)
	for _, sql := range []string{
		`UPDATE citizens SET phone = '+34600000000'`,
		`UPDATE citizens SET status = 'active'`,
		`INSERT INTO citizens (id) VALUES ('x')`,
		`DELETE FROM citizens`,
		`INSERT INTO registrations (citizen_id) VALUES ('x')`,
		`UPDATE certificates SET revoked_at = now()`,
		`UPDATE incidents SET outcome = 'x'`,
		`SELECT mac FROM activations`,
		`SELECT box FROM credentials`,
		`SELECT salt FROM credentials`,
		`SELECT mac FROM letters`,
		`UPDATE letters SET state = 'printed'`,
		`SELECT secret_hash FROM applications`,
		`SELECT payload FROM log_entries`,
		`SELECT mac FROM challenges`,
		`SELECT mac FROM pins`,
		`SELECT facts FROM enrolments`,
		`SELECT title FROM requests`,
		`DELETE FROM desk_orders`,
		`DELETE FROM video_registrations`,
		`INSERT INTO video_registrations (id) VALUES ('x')`,
		`UPDATE video_registrations SET evidence = '{}'`,
		`UPDATE video_registrations SET facts = '{}'`,
		`UPDATE officers SET role = 'supervisor'`,
		`INSERT INTO officers (id) VALUES ('x')`,
		`SET ROLE rubrica_signer`,
	} {
		if _, err := conn.Exec(t.Context(), sql); stateOf(err) != insufficientPrivilege {
			t.Errorf("%s: got %v, want that it is not granted", sql, err)
		}
	}
	for _, sql := range []string{
		`SELECT phone FROM citizens`,
		`SELECT type, payload FROM desk_entries`,
		`SELECT said FROM incidents`,
		`SELECT name FROM officers`,
		`UPDATE video_registrations SET state = 'approved', decided_at = now()`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// Each way to look somebody up has an index, however many people there are.
func TestDeskLookUpsHaveIndexes(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, store.Migrate)
	conn := as(t, db.Owner)
	if _, err := conn.Exec(t.Context(), `
		INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
		SELECT n::text, lpad(n::text, 8, '0') || 'A', 'Nombre' || n % 977, 'Apellido' || n % 991, '+346' || lpad(n::text, 8, '0'), 'a@b.es', 'es', 'active', now(), now()
		FROM generate_series(1, 20000) n;
		ANALYZE citizens`); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ where, asked string }{
		"citizens_identifier_unique": {`identifier = $1`, "00000007A"},
		"citizens_phone":             {`phone = $1`, "+34600000007"},
		"citizens_surnames": {
			`plain_name(surnames || ' ' || given_name) LIKE plain_name($1) || '%' OR plain_name(given_name || ' ' || surnames) LIKE plain_name($1) || '%'`, "Apellído77",
		},
	} {
		plan := planOf(t, conn, fmt.Sprintf(`SELECT id FROM citizens WHERE %s ORDER BY surnames, given_name, identifier LIMIT 21`, strings.ReplaceAll(test.where, "$1", "'"+test.asked+"'")))
		if !strings.Contains(plan, name) || strings.Contains(plan, "Seq Scan") {
			t.Errorf("got no %s:\n%s", name, plan)
		}
	}
	found, err := store.ForDesk(dial(t, db.Registrar)).Find(t.Context(), citizen.Question{Name: "APELLIDO77 nombre"}, 5)
	if err != nil || len(found) != 5 || found[0].Surnames != "Apellido77" {
		t.Errorf("got %v, %v, want the first five", found, err)
	}
}

func dial(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func planOf(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "EXPLAIN "+sql)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
