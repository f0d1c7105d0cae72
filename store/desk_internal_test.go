package store

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
)

// Each way to look somebody up has an index, however many people there are, and
// a name that half of them have comes out of it in the order in which it is
// shown: nothing is sorted but what was found.
func TestDeskLookUpsHaveIndexes(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t, Migrate).Owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if _, err := conn.Exec(t.Context(), `
		INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
		SELECT n::text, lpad(n::text, 8, '0') || 'A', 'Nombre' || n % 977, CASE WHEN n % 2 = 0 THEN 'García' ELSE 'Apellido' || n % 991 END,
			'+346' || lpad(n::text, 8, '0'), 'a@b.es', 'es', 'active', now(), now()
		FROM generate_series(1, 20000) n`); err != nil {
		t.Fatal(err)
	}
	// The plan is the one that is kept, which knows nothing of what is asked.
	for _, sql := range []string{`ANALYZE citizens`, `SET plan_cache_mode = force_generic_plan`} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		asked   citizen.Question
		indexes []string
	}{
		"document": {citizen.Question{Identifier: "00000007A"}, []string{"citizens_identifier_unique"}},
		"mobile":   {citizen.Question{Phone: "+34600000007"}, []string{"citizens_phone"}},
		"name":     {citizen.Question{Name: "garcía"}, []string{"citizens_surnames", "citizens_names"}},
	} {
		sql, asked := finding(test.asked)
		rows, err := conn.Query(t.Context(), "EXPLAIN "+sql, pgx.NamedArgs{"asked": asked, "limit": 21})
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		for _, index := range test.indexes {
			if !strings.Contains(plan, "Index Scan using "+index) && !strings.Contains(plan, "Bitmap Index Scan on "+index) {
				t.Errorf("%s: got no %s:\n%s", name, index, plan)
			}
		}
		if strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s: the table is read from end to end:\n%s", name, plan)
		}
		if len(test.indexes) > 1 && strings.Contains(plan, "Bitmap") {
			t.Errorf("%s: all of a name are read before any is shown:\n%s", name, plan)
		}
	}
}

// All certificates of a citizen, those of destroyed credentials among them, are
// found from the citizen: at the desk and on the citizen's own pages.
func TestCertificatesOfACitizenHaveAnIndex(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t, Migrate).Owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if _, err := conn.Exec(t.Context(), `SET enable_seqscan = off`); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), `
		EXPLAIN SELECT z.serial
		FROM certificates z
		JOIN credentials k ON k.id = z.credential_id
		WHERE k.citizen_id = 'x' AND z.state = 'issued'`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if plan := strings.Join(lines, "\n"); strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "credentials_citizen") {
		t.Errorf("got no credentials_citizen:\n%s", plan)
	}
}
