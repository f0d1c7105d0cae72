package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// enrol adds citizens named from 1 on, with a key, a registration that ages on
// and a certificate that ends on the given moments.
func (a *archive) enrol(n int, assured, ends string, now time.Time) {
	a.Helper()
	shard := a.shard("issuing-1", now)
	for _, sql := range []string{
		`INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
			SELECT 'c' || n, 'id' || n, 'Ana', 'Núñez', '+34' || n, 'a@b', 'es', 'active', '2040-01-01', $2 FROM generate_series(1, $1::integer) n`,
		`INSERT INTO registrations (citizen_id, mode, level, office, officer, assured_at)
			SELECT 'c' || n, 'office', 'advanced', 'o', 'o', ` + assured + ` FROM generate_series(1, $1::integer) n, (SELECT $2::timestamptz AS now) t`,
		`INSERT INTO credentials (id, citizen_id, generation, state, algorithm, public_key, salt, argon_memory_kib, argon_passes, argon_lanes, box, created_at, password_at)
			SELECT 'k' || n, 'c' || n, 1, 'usable', 'ec-p256', '\x00', '\x00', 1, 1, 1, '\x00', $2, $2 FROM generate_series(1, $1::integer) n`,
		`INSERT INTO certificates (serial, credential_id, issuer, shard, state, der, not_before, not_after, lease_until)
			SELECT to_hex(n), 'k' || n, 'issuing-1', '` + shard + `', 'issued', '\x00', now - interval '3 years', ` + ends + `, now
			FROM generate_series(1, $1::integer) n, (SELECT $2::timestamptz AS now) t`,
	} {
		a.sql(sql, n, now)
	}
}

// Looking for whom to remind does not read all certificates, also when the
// database has stopped planning anew, and finds nobody who has been told.
func TestRemindableIsCheap(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	now := instantOf(t, "2026-05-10T10:00:00Z")
	const citizens = 20_000
	a.enrol(citizens,
		`now - interval '5 years' + n * interval '131 minutes'`, // five years of registrations
		`now + n * interval '105 minutes'`, now)                 // four years of certificates
	a.sql(`UPDATE certificates SET revoked_at = now(), reason = CASE WHEN right(serial, 1) = '0' THEN 6 ELSE 1 END WHERE right(serial, 1) IN ('0', '1')`)
	a.sql(`ANALYZE`)
	rules := policies.DefaultRules()

	find := func(limit int) []string {
		db := a.open() // whose end makes the database count what it read
		defer db.Close()
		var found []string
		start := time.Now()
		const calls = 10 // after five, a prepared statement may get one plan for all
		for range calls {
			var err error
			if found, err = db.Remindable(t.Context(), now, rules, limit); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%d found in %v", len(found), time.Since(start)/calls)
		return found
	}
	scans := func() int64 {
		return value[int64](a, `SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'certificates'`)
	}
	reads := func() int64 {
		return value[int64](a, `SELECT coalesce(idx_scan, 0) FROM pg_stat_user_indexes WHERE indexrelname = 'certificates_ending'`)
	}

	due := find(citizens)
	if len(due) < 900 || len(due) > 1100 {
		t.Errorf("%d are to be told, want some thousand", len(due))
	}
	if page := find(200); !cmp.Equal(page, due[:200]) {
		t.Error("a page is not the beginning of all")
	}
	a.sql(`INSERT INTO reminders (citizen_id, key, at)
		SELECT 'c' || n, format('%s/%s/%s', kind, to_char(ends AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), days), $1
		FROM (
			SELECT to_number(substr(credential_id, 2), '99999') AS n, not_after AS ends, 'certificate_expires' AS kind FROM certificates
			UNION ALL
			SELECT to_number(substr(citizen_id, 2), '99999'), (assured_at AT TIME ZONE 'Europe/Madrid' + interval '5 years') AT TIME ZONE 'Europe/Madrid', 'registration_ages'
			FROM registrations
		) e, unnest(ARRAY[90, 60, 30, 7]) AS days
		WHERE ends < $1::timestamptz + interval '92 days'`, now)
	a.sql(`ANALYZE reminders`)
	if left := find(citizens); len(left) != 0 {
		t.Errorf("%d are to be told again, %v …", len(left), left[0])
	}
	for until := time.Now().Add(20 * time.Second); reads() == 0 && time.Now().Before(until); {
		time.Sleep(50 * time.Millisecond) // the numbers come late
	}
	if reads() == 0 {
		t.Fatal("the database counts nothing")
	}
	if n := scans(); n > 2 { // of which two are this test's own
		t.Errorf("all certificates were read %d times", n-2)
	}
}

// The database finds just those whom the rules would remind, at any hour, over
// leap days and when the clocks change, and nobody whom it has told.
func TestRemindableAsTheRulesDo(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	rules := policies.DefaultRules()
	base := instantOf(t, "2029-02-01T00:00:00Z")
	const citizens = 400
	a.enrol(citizens, `timestamptz '2024-02-01Z' + n * interval '251 minutes'`, `timestamptz '2029-02-01Z' + n * interval '307 minutes'`, base)
	// On 29 February; in the hour that is left out five years later (25 March
	// 2029), and in the one that comes twice, then and now.
	for n, at := range []string{
		"2024-02-29T11:00:00Z", "2024-02-28T23:30:00Z", "2024-02-29T22:59:59Z", "2024-03-25T01:30:00Z", "2024-03-25T01:00:00Z",
		"2024-10-28T00:30:00Z", "2024-10-28T01:30:00Z", "2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z",
	} {
		a.sql(`UPDATE registrations SET assured_at = $2 WHERE citizen_id = 'c' || $1::text`, fmt.Sprint(n+1), at)
	}
	a.sql(`ANALYZE`)
	people := map[string]policies.Facts{}
	for n := range citizens {
		id := fmt.Sprint("c", n+1)
		c, k, err := a.db.CitizenByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		people[id] = signer.Facts(c, k, time.Time{})
	}
	told := map[string]bool{}
	for step := range 120 {
		now := base.Add(-95*24*time.Hour + time.Duration(step)*(77*time.Hour+13*time.Minute))
		if step%3 == 0 { // at midnight itself
			local := now.In(rules.Zone)
			now = time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, rules.Zone)
		}
		var want []string
		due := map[string][]policies.Reminder{}
		for id, f := range people {
			f.Now = now
			due[id] = policies.Reminders(f, rules)
			if slices.ContainsFunc(due[id], func(r policies.Reminder) bool { return !told[id+r.Key()] }) {
				want = append(want, id)
			}
		}
		got, err := a.db.Remindable(t.Context(), now, rules, citizens)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("at %v (-rules +database):\n%s", now, diff)
		}
		var ids, keys []string
		for _, id := range got {
			for _, r := range due[id] {
				told[id+r.Key()] = true
				ids, keys = append(ids, id), append(keys, r.Key())
			}
		}
		a.sql(`INSERT INTO reminders (citizen_id, key, at) SELECT id, key, $3 FROM unnest($1::text[], $2::text[]) AS t (id, key) ON CONFLICT DO NOTHING`, ids, keys, now)
	}
	if len(told) < citizens {
		t.Errorf("only %d were told anything", len(told))
	}
}

// A reminder is enqueued by mail and by SMS together with its log entry, once,
// whoever else does so at the same moment; what it covers is done with it.
func TestRemindOnce(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	now := time.Now().UTC().Truncate(time.Second)
	a.enrol(1, `now`, `now + interval '20 days'`, now)
	remind := func(db *store.DB, days int, passed ...int) error {
		return db.Remind(t.Context(), signer.Reminding{
			CitizenID: "c1", Text: now.Add(time.Hour),
			Kind: policies.RemindCertificate, Days: days, Ends: now.AddDate(0, 0, 20), Passed: passed,
		}, audit.Entry{
			Type: audit.CitizenReminded, Operation: "c1", At: time.Now(), Person: "id1",
			Payload: map[string]any{"of": "certificate_expires", "days": days, "ends": now.AddDate(0, 0, 20).Format(time.RFC3339)},
		})
	}
	failures := make(chan error)
	const sweeps = 8
	for range sweeps {
		go func() { failures <- remind(a.db, 30, 60) }()
	}
	for range sweeps {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	if err := remind(a.db, 60); err != nil { // whose clock is behind
		t.Error(err)
	}
	// Where the log takes nothing, nothing is enqueued, and it is done later.
	a.sql(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$`)
	a.sql(`CREATE TRIGGER full_disk BEFORE INSERT ON log_entries FOR EACH ROW EXECUTE FUNCTION full_disk()`)
	if err := remind(a.db, 7, 30, 60); err == nil {
		t.Error("reminded without a log")
	}
	const jobs = `SELECT string_agg(kind || ' ' || (args->>'days'), ', ' ORDER BY id) FROM river_job`
	if got, want := value[string](a, jobs), "notice 30, text 30"; got != want {
		t.Errorf("got the jobs %q, want %q", got, want)
	}
	a.sql(`DROP TRIGGER full_disk ON log_entries`)
	if err := remind(a.db, 7, 30, 60); err != nil {
		t.Error(err)
	}
	if got, want := value[string](a, jobs), "notice 30, text 30, notice 7, text 7"; got != want {
		t.Errorf("got the jobs %q, want %q", got, want)
	}
	if got, want := value[int](a, `SELECT count(*) FROM log_entries WHERE type = 'citizen.reminded'`), 2; got != want {
		t.Errorf("%d entries, want %d", got, want)
	}
	if got := value[int](a, `SELECT count(*) FROM river_job WHERE args::text ~ '34|Ana|a@b|id1'`); got != 0 {
		t.Errorf("%d jobs say who is meant", got)
	}
}
