package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// insufficientPrivilege is what PostgreSQL answers to what was not granted.
const insufficientPrivilege = "42501"

func as(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func stateOf(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// TestGrants holds the roles against what DESIGN section 4 says of them: a
// public side that is broken can neither write nor read what decides over a
// signature, and the signer cannot rewrite the log.
func TestGrants(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, store.Migrate)
	for _, role := range []struct {
		name, url string
		forbidden []string
		allowed   []string
	}{
		{
			name: "rubrica_api", url: db.API,
			forbidden: append([]string{
				`UPDATE requests SET state = 'signed'`,
				`UPDATE requests SET title = 'x'`,
				`UPDATE requests SET identifier = 'x'`,
				`INSERT INTO requests (id, state) VALUES ('x', 'pending')`,
				`INSERT INTO requests (id, interrupted) VALUES ('x', 1)`,
				`INSERT INTO requests (id, closed_at) VALUES ('x', now())`,
				`DELETE FROM requests`,
				`UPDATE documents SET cms = 'x'`,
				`UPDATE documents SET sha256 = 'x'`,
				`UPDATE documents SET format = 'pades'`,
				`INSERT INTO documents (request_id, cms) VALUES ('x', 'x')`,
				`INSERT INTO documents (request_id, digest) VALUES ('x', 'x')`,
				`DELETE FROM documents`,
				`UPDATE access_tokens SET scopes = '{registration}'`,
				`UPDATE oauth_grants SET subject = 'x'`,
				`UPDATE oauth_grants SET scopes = '{credential}'`,
				`UPDATE oauth_grants SET consent_id = NULL`,
				`INSERT INTO service_consents (id) VALUES ('x')`,
				`UPDATE service_consents SET withdrawn_at = NULL`,
				`DELETE FROM service_consents`,
				`UPDATE oauth_sessions SET application_id = 'x'`,
				`SELECT box FROM credentials`,
				`SELECT salt FROM credentials`,
				`SELECT mac FROM challenges`,
				`SELECT phone FROM challenges`,
				`SELECT documents FROM challenges`,
				`SELECT sealed_key FROM tickets`,
				`SELECT mac FROM activations`,
				`SELECT failures FROM attempts`,
				`SELECT id FROM authorisations`,
				`SELECT payload FROM log_entries`,
				`SELECT salt FROM log_entries`,
				`SELECT person FROM log_entries`,
				`SELECT operation FROM log_entries`,
				`SELECT value FROM log_terms`,
				`SELECT name FROM auditors`,
				`SELECT hash FROM auditor_sessions`,
				`SELECT n FROM log_totals`,
				`SELECT size FROM log_head`,
				`SELECT check_value FROM key_epochs`,
				`SELECT keeper FROM key_keeper`,
				`SELECT label FROM token_keys`,
				`SELECT source FROM familiar_sources`,
				`SELECT sealed_key FROM authorisations`,
				`UPDATE webhooks SET url = 'https://elsewhere.example'`,
				`UPDATE webhooks SET removed_at = NULL`,
				`INSERT INTO webhooks (id) VALUES ('x')`,
				`DELETE FROM webhooks`,
				`UPDATE webhook_deliveries SET webhook_id = 'x'`,
				`UPDATE webhook_deliveries SET request_state = 'signed'`,
				`SELECT mac FROM enrolments`,
				`SELECT pepper_epoch FROM enrolments`,
				`SELECT seal FROM enrolments`,
				`SELECT box FROM pending_changes`,
				`SELECT value FROM pending_changes`,
				`SELECT seal FROM pending_changes`,
				`SELECT mac FROM letters`,
				`SELECT recipient FROM letters`,
				`SELECT mac FROM pins`,
				`SELECT citizen_id FROM pins`,
				`SELECT pin_mac FROM cards`,
				`SELECT key_mac FROM cards`,
				`SELECT email FROM cards`,
				`SELECT facts FROM presentations`,
				`SELECT n FROM askings`,
				`SELECT n FROM sms_counts`,
				`SELECT name FROM officers`,
				`SELECT record FROM officer_passkeys`,
				`SELECT hash FROM officer_invitations`,
				`SELECT record FROM officer_challenges`,
				`SELECT hash FROM officer_sessions`,
				`SELECT facts FROM desk_orders`,
				`SELECT payload FROM desk_entries`,
				`UPDATE video_registrations SET state = 'approved'`,
				`INSERT INTO video_registrations (id, decided_by) VALUES ('x', 'x')`,
				`DELETE FROM video_registrations`,
				`UPDATE office_places SET name = 'x'`,
				`CREATE TABLE mine (x integer)`,
				`SET ROLE rubrica_signer`,
				`SET ROLE rubrica_registrar`,
			}, writes(
				"associated_certificates.der", "pending_changes.value", "incidents.outcome", "presentations.facts", "enrolments.mac", "letters.mac", "pins.mac",
				"askings.n", "cards.pin_mac", "sms_messages.state", "sms_counts.n", "officers.role", "officer_passkeys.record", "officer_invitations.hash",
				"officer_challenges.record", "officer_sessions.purpose", "desk_orders.outcome",
				"citizens.phone", "registrations.level", "activations.mac", "attempts.failures", "credentials.box", "certificates.der",
				"applications.secret_hash", "return_addresses.url", "tickets.verified", "challenges.phone", "authorisations.state",
				"application_keys.jwk", "application_certificates.der",
				"authorities.der", "key_epochs.check_value", "key_keeper.keeper", "token_keys.state", "familiar_sources.last_at", "crls.der", "log_head.size", "log_hashes.hash", "log_entries.payload",
				"log_terms.value", "log_trees.key", "log_checkpoints.note", "log_totals.n", "auditors.role", "auditor_sessions.purpose",
			)...),
			allowed: []string{
				`SELECT secret_hash FROM applications`, // it authenticates them
				`UPDATE documents SET update = NULL, layout = NULL, signing_time = NULL, digest = NULL, fixed_for = NULL`,
				`DELETE FROM contents`,
				`SELECT id, state FROM credentials`,
				`SELECT seq, leaf FROM log_entries`, // what everybody may have
				`SELECT payload FROM signature_entries`,
				`SELECT note FROM log_checkpoints`,
				`DELETE FROM access_tokens`,
			},
		},
		{
			name: "rubrica_signer", url: db.Signer,
			forbidden: []string{
				`UPDATE log_entries SET payload = NULL`,
				`DELETE FROM log_entries`,
				`TRUNCATE log_entries`,
				`UPDATE log_hashes SET hash = 'x'`,
				`DELETE FROM log_hashes`,
				`TRUNCATE log_hashes`,
				`UPDATE documents SET update = 'x'`,
				`SELECT data FROM content_pieces`,
				`DELETE FROM contents`,
				`UPDATE augmentations SET cms = 'x'`,
				`UPDATE documents SET digest = 'x'`,
				`UPDATE documents SET sha256 = 'x'`,
				`INSERT INTO documents (request_id) VALUES ('x')`,
				`DELETE FROM documents`,
				`INSERT INTO requests (id) VALUES ('x')`,
				`UPDATE envelopes SET state = 'cancelled'`,
				`INSERT INTO envelope_signers (position) VALUES (1)`,
				`UPDATE envelope_signers SET request_id = 'x'`,
				`UPDATE documents SET revision = 0`,
				`UPDATE requests SET title = 'x'`,
				`UPDATE requests SET return_url = 'x'`,
				`DELETE FROM requests`,
				`SELECT hash FROM access_tokens`,
				`SELECT sad FROM oauth_grants`,
				`SELECT hash FROM oauth_sessions`,
				`CREATE TABLE mine (x integer)`,
				`SET ROLE rubrica_api`,
			},
			allowed: []string{
				`UPDATE requests SET state = 'pending', interrupted = 0, closed_at = NULL`,
				`UPDATE documents SET cms = NULL`,
				`SELECT payload FROM log_entries`,
				`UPDATE citizens SET phone = '+34600000000'`,
				`UPDATE letters SET mac = NULL`,
				`DELETE FROM pins`,
			},
		},
		{
			name: "rubrica_registrar", url: db.Registrar,
			forbidden: append([]string{
				`SELECT box FROM credentials`,
				`SELECT salt FROM credentials`,
				`SELECT public_key FROM credentials`,
				`SELECT secret_hash FROM applications`,
				`SELECT sealed_key FROM tickets`,
				`SELECT mac FROM challenges`,
				`SELECT mac FROM activations`,
				`SELECT mac FROM letters`,
				`SELECT seal FROM letters`,
				`SELECT mac FROM pins`,
				`SELECT pin_mac FROM cards`,
				`SELECT mac FROM enrolments`,
				`SELECT facts FROM presentations`,
				`SELECT box FROM pending_changes`,
				`SELECT payload FROM log_entries`,
				`SELECT salt FROM log_entries`,
				`UPDATE officers SET role = 'administrator'`,
				`UPDATE officers SET certificate = NULL`,
				`INSERT INTO officers DEFAULT VALUES`,
				`UPDATE video_registrations SET facts = '{}'`,
				`INSERT INTO video_registrations DEFAULT VALUES`,
				`CREATE TABLE mine (x integer)`,
				`SET ROLE rubrica_signer`,
			}, writes(
				"citizens.phone", "registrations.level", "activations.mac", "credentials.box", "certificates.der", "applications.secret_hash", "letters.mac",
				"pins.mac", "cards.pin_mac", "enrolments.mac", "presentations.facts", "pending_changes.value", "associated_certificates.der",
				"incidents.outcome", "tickets.verified", "challenges.phone", "log_entries.payload", "office_acts.act", "office_places.name",
			)...),
			allowed: []string{
				`SELECT phone, status FROM citizens`, // whom the desk has before it
				`SELECT recipient FROM letters`,
				`SELECT payload FROM desk_entries`,
				`UPDATE officers SET disabled_at = NULL`,
			},
		},
	} {
		t.Run(role.name, func(t *testing.T) {
			t.Parallel()
			conn := as(t, role.url)
			for _, sql := range role.forbidden {
				if _, err := conn.Exec(t.Context(), sql); stateOf(err) != insufficientPrivilege {
					t.Errorf("%s: got %v, want permission denied", sql, err)
				}
			}
			for _, sql := range role.allowed {
				if _, err := conn.Exec(t.Context(), sql); err != nil {
					t.Errorf("%s: got %v, want it allowed", sql, err)
				}
			}
		})
	}
}

// writes is every way to write tables, each given with a column that matters.
// What would be written does not: rights are looked at first.
func writes(columns ...string) []string {
	var sql []string
	for _, column := range columns {
		table, name, _ := strings.Cut(column, ".")
		sql = append(sql,
			`INSERT INTO `+table+` DEFAULT VALUES`,
			`UPDATE `+table+` SET `+name+` = NULL`,
			`DELETE FROM `+table,
			`TRUNCATE `+table,
		)
	}
	return sql
}

// What the public side may write is this and no more, column by column, and of
// the tables that hold what is secret it reads nothing else: a column that a
// migration adds is not its own until somebody says so here. River's tables are:
// the public side works its queue, in which nothing is secret.
func TestPublicSideColumns(t *testing.T) {
	t.Parallel()
	conn := as(t, pgtest.New(t, store.Migrate).Owner)
	for privilege, want := range map[string]map[string]string{
		"INSERT": {
			"access_tokens":    "application_id certificate expires_at grant_id hash jkt revoked_at sad scopes",
			"augmentations":    "at cms lacking level ordinal request_id tail",
			"content_pieces":   "content_id data n",
			"contents":         "application_id created_at id sha256 size",
			"envelopes":        "application_id body_hash created_at expires_at id idempotency_key ordering title",
			"envelope_signers": "envelope_id identifier locale options position request_id title",
			"documents":        "attributes content_id findings format given hash layout level media_type name options ordinal pages request_id sha256 size update",
			"handed_out":       "at ordinal request_id",
			"oauth_grants":     "application_id code code_used_at consent_id created_at credential_id data expires_at id refresh refreshable request_id revoked_at sad sad_expires_at scopes session spent_at subject",
			"oauth_proofs":     "expires_at hash",
			"oauth_sessions":   "application_id data ended_at expires_at hash request_id request_uri subject used_at",
			"requests":         "application_id body_hash created_at expires_at id idempotency_key identifier locale particulars rejected return_url title",
			// Nothing of what an officer decides.
			"video_registrations": "evidence facts id identifier office provider received_at state",
			"webhook_deliveries":  "application_id began_at created_at envelope_id event_id next_at request_id request_state sequence type webhook_id",
		},
		"UPDATE": {
			"access_tokens":  "revoked_at sad",
			"oauth_grants":   "code_used_at data expires_at refresh revoked_at sad spent_at",
			"oauth_sessions": "data ended_at expires_at hash request_id subject used_at",
			"requests":       "purged_at",

			"augmentations": "at cms lacking level ordinal request_id tail",
			"contents":      "sha256 size",
			"documents":     "built content_id digest fixed_for hash layout level prefix revision signing_time update",

			// Whether somebody may still be asked; a consent looks at it, and counts the
			// signatures itself.
			"envelopes":        "closed_at state",
			"envelope_signers": "request_id",

			// What became of a call, and nothing of what is told to whom.
			"webhook_deliveries": "attempts began_at ended_at last_at next_at problem round state status",
			"webhooks":           "stopped_at",
		},
		"SELECT": {
			"challenges":  "attempts citizen_id created_at expires_at id purpose reference request_id state ticket_hash",
			"credentials": "algorithm citizen_id created_at generation id keeper kek_epoch key_label password_at state",
			"log_entries": "leaf seq",
			"log_hashes":  "hash index",
			"tickets":     "citizen_id created_at credential_id expires_at hash purpose replaces request_id spent_at verified via",

			"enrolments":      "attempts codes created_at expires_at facts hash identifier kind phone sent_at spent_at",
			"pending_changes": "citizen_id created_at expires_at hash kind",
		},
	} {
		rows, err := conn.Query(t.Context(), `
			SELECT table_name, string_agg(column_name, ' ' ORDER BY column_name)
			FROM information_schema.column_privileges
			WHERE grantee IN ('rubrica_api', 'PUBLIC') AND table_schema = 'public' AND table_name NOT LIKE 'river%' AND privilege_type = $1
				AND ($1 <> 'SELECT' OR table_name IN ('activations', 'attempts', 'authorisations', 'challenges', 'credentials', 'familiar_sources',
					'key_epochs', 'key_keeper', 'log_entries', 'log_hashes', 'log_head', 'office_acts', 'tickets', 'token_keys',
					'askings', 'cards', 'enrolments', 'letters', 'pending_changes', 'pins', 'presentations', 'officer_sessions', 'desk_orders'))
			GROUP BY table_name`, privilege)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		var table, columns string
		if _, err := pgx.ForEachRow(rows, []any{&table, &columns}, func() error {
			got[table] = columns
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", privilege, diff)
		}
	}
	var deletes []string
	err := conn.QueryRow(t.Context(), `
		SELECT array_agg(table_name::text ORDER BY table_name) FROM information_schema.table_privileges
		WHERE grantee IN ('rubrica_api', 'PUBLIC') AND table_schema = 'public' AND table_name NOT LIKE 'river%' AND privilege_type IN ('DELETE', 'TRUNCATE')`).Scan(&deletes)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"access_tokens", "augmentations", "content_pieces", "contents", "oauth_grants", "oauth_proofs", "oauth_sessions", "webhook_deliveries"}, deletes); diff != "" {
		t.Errorf("DELETE (-want +got):\n%s", diff)
	}
}

// No role of the processes may make itself more than it is.
func TestRolesAreSmall(t *testing.T) {
	t.Parallel()
	conn := as(t, pgtest.New(t, store.Migrate).Owner)
	var powers int
	err := conn.QueryRow(t.Context(), `
		SELECT count(*) FROM pg_roles r
		WHERE rolname IN ('rubrica_api', 'rubrica_signer', 'rubrica_auditor', 'rubrica_registrar') AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
			OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid))`).Scan(&powers)
	if err != nil {
		t.Fatal(err)
	}
	if powers != 0 {
		t.Errorf("%d roles have powers of their own", powers)
	}
}
