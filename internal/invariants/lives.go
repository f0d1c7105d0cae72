package invariants

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// told is what the log tells of certificates, and what came before each time.
const told = `
	WITH told AS (
		SELECT
			seq,
			type,
			convert_from(payload, 'UTF8')::jsonb ->> 'serial' AS serial
		FROM log_entries
		WHERE payload IS NOT NULL
			AND type IN ('certificate.issued', 'certificate.suspended', 'certificate.released', 'certificate.revoked')
	), steps AS (
		SELECT
			serial,
			type,
			lag(type) OVER w AS before,
			lead(type) OVER w AS after,
			row_number() OVER w AS version
		FROM told
		WINDOW w AS (PARTITION BY serial ORDER BY seq)
	)`

// lives are the invariants of the states of certificates: in the log, in their
// rows and in the feed that readers follow.
func lives(ctx context.Context, conn *pgx.Conn) error {
	return none(ctx, conn, map[string]string{
		"a certificate that was issued twice, suspended twice, released without need, or came back from its revocation": told + `
			SELECT count(*) FROM steps WHERE NOT coalesce(
				CASE type
					WHEN 'certificate.issued' THEN before IS NULL
					WHEN 'certificate.suspended' THEN before IN ('certificate.issued', 'certificate.released')
					WHEN 'certificate.released' THEN before = 'certificate.suspended'
					WHEN 'certificate.revoked' THEN before IN ('certificate.issued', 'certificate.suspended', 'certificate.released')
				END, false)`,
		"a certificate that does not stand as the log tells": told + `
			SELECT count(*) FROM (SELECT * FROM certificates WHERE state = 'issued') z
			FULL JOIN (SELECT * FROM steps WHERE after IS NULL) l ON l.serial = z.serial
			WHERE l.version IS DISTINCT FROM z.status_version OR NOT coalesce(
				CASE l.type
					WHEN 'certificate.suspended' THEN z.revoked_at IS NOT NULL AND z.reason = 6
					WHEN 'certificate.revoked' THEN z.revoked_at IS NOT NULL AND z.reason <> 6
					ELSE z.revoked_at IS NULL AND z.reason IS NULL
				END, false)`,
		// Where nothing of the feed has been forgotten, it has each change.
		"a status that the feed does not tell of, or the reverse": `
			SELECT count(*) FROM (SELECT * FROM certificates WHERE state = 'issued') z
			FULL JOIN (SELECT serial, count(*) AS changes FROM certificate_changes GROUP BY serial) f ON f.serial = z.serial
			WHERE f.changes IS DISTINCT FROM z.status_version AND (SELECT min(seq) FROM certificate_changes) = 1`,
		"a list that does not count the certificates which name it": `
			SELECT count(*) FROM crl_shards s
			WHERE s.issued <> (SELECT count(*) FROM certificates z WHERE z.shard = s.name AND z.state = 'issued')
				+ (SELECT count(*) FROM authorities a WHERE a.shard = s.name)`,
	})
}
