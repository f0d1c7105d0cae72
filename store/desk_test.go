package store_test

import (
	"testing"

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

// Whatever is asked finds the same, the first time and when its plan has been
// kept; what is typed is no pattern.
func TestDeskFinds(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, store.Migrate)
	conn := as(t, db.Owner)
	if _, err := conn.Exec(t.Context(), `
		INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
		SELECT n::text, lpad(n::text, 8, '0') || 'A', 'Nombre' || n % 977, CASE WHEN n % 2 = 0 THEN 'García' ELSE 'Apellido' || n % 991 END,
			'+346' || lpad(n::text, 8, '0'), 'a@b.es', 'es', 'active', now(), now()
		FROM generate_series(1, 6000) n`); err != nil {
		t.Fatal(err)
	}
	desk := store.ForDesk(dial(t, db.Registrar))
	const shown = 5
	for name, test := range map[string]struct {
		asked citizen.Question
		found int
		first string
	}{
		"a document":         {citizen.Question{Identifier: "00000007A"}, 1, "Apellido7"},
		"a mobile":           {citizen.Question{Phone: "+34600000007"}, 1, "Apellido7"},
		"surnames first":     {citizen.Question{Name: "APELLIDO77 nombre"}, 3, "Apellido77"},
		"given name first":   {citizen.Question{Name: "nombre7 apéllido"}, 4, "Apellido7"},
		"a frequent name":    {citizen.Question{Name: "garcia"}, shown, "García"},
		"nobody's":           {citizen.Question{Name: "apellido77 x"}, 0, ""},
		"what is no pattern": {citizen.Question{Name: "apellido%"}, 0, ""},
		"nor this":           {citizen.Question{Name: "apellido7_"}, 0, ""},
	} {
		for range 8 { // beyond the fifth time a plan is kept that knows no question
			found, err := desk.Find(t.Context(), test.asked, shown)
			if err != nil || len(found) != test.found || len(found) > 0 && found[0].Surnames != test.first {
				t.Fatalf("%s: got %v, %v, want %d, %q first", name, found, err, test.found, test.first)
			}
		}
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
