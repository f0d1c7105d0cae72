// Package invariants re-verifies, from the database alone, what must hold after
// every step of a ceremony and after every crash: DESIGN section 1, point 2. It
// knows nothing of the code that wrote the rows but the formats.
package invariants

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ErrBroken means that an invariant does not hold; the text says which one.
var ErrBroken = errors.New("an invariant does not hold")

// Checker reads one database again and again. It is not safe for concurrent use.
type Checker struct {
	// Database is the address of the database, as its owner.
	Database string
	// Snapshot gives the whole log (store.DB.Snapshot).
	Snapshot func(ctx context.Context, read func(audit.Log) error) error
	// Secrets are passwords and codes that must stand in no row.
	Secrets []string
	// Elsewhere, if there is one, gives text in which they must not stand
	// either: what was logged.
	Elsewhere func() string

	known []audit.Tree
	conn  *pgx.Conn // kept: a new one costs the server more than a check
}

// connect gives the connection that was kept, unless the server has died since.
func (c *Checker) connect(ctx context.Context) (*pgx.Conn, error) {
	if c.conn != nil {
		if c.conn.Ping(ctx) == nil {
			return c.conn, nil
		}
		_ = c.conn.Close(ctx) // the server is gone
	}
	var err error
	if c.conn, err = pgx.Connect(ctx, c.Database); err != nil {
		c.conn = nil
		return nil, fmt.Errorf("connecting as the checker: %w", err)
	}
	return c.conn, nil
}

// Close ends the connection; the next check makes another.
func (c *Checker) Close() {
	if c.conn != nil {
		_ = c.conn.Close(context.Background()) // nothing was written
		c.conn = nil
	}
}

// Check reads everything once. An error that is not ErrBroken means that the
// database could not be read.
func (c *Checker) Check(ctx context.Context) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	for _, check := range []func(context.Context, *pgx.Conn) error{counts, records, lives, signatures, c.log, c.canaries} {
		if err := check(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}

// Settled checks in addition that nothing is under way: every intent has its
// one outcome.
func (c *Checker) Settled(ctx context.Context) error {
	if err := c.Check(ctx); err != nil {
		return err
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	return none(ctx, conn, map[string]string{"I2: an intent without outcome": `
		SELECT (SELECT count(*) FROM authorisations WHERE state = 'intent') + (SELECT count(*) FROM certificates WHERE state = 'intent')`})
}

// none runs queries that must count nothing, all in one exchange.
func none(ctx context.Context, conn *pgx.Conn, queries map[string]string) error {
	var batch pgx.Batch
	for what, sql := range queries {
		batch.Queue(sql).QueryRow(func(row pgx.Row) error {
			var n int
			if err := row.Scan(&n); err != nil {
				return fmt.Errorf("checking %q: %w", what, err)
			}
			if n != 0 {
				return fmt.Errorf("%w: %s (%d times)", ErrBroken, what, n)
			}
			return nil
		})
	}
	return conn.SendBatch(ctx, &batch).Close()
}

// counts are the invariants that SQL can say: each query must count nothing.
func counts(ctx context.Context, conn *pgx.Conn) error {
	return none(ctx, conn, map[string]string{
		"I1: a signature without intent and outcome in the log": `
			SELECT count(*) FROM documents d WHERE cms IS NOT NULL AND (
				NOT EXISTS (SELECT FROM log_entries l WHERE l.operation = d.request_id AND type = 'sign.intent') OR
				NOT EXISTS (SELECT FROM log_entries l WHERE l.operation = d.request_id AND type = 'sign.done'))`,
		"I1: a request signed twice": `
			SELECT count(*) FROM (
				SELECT FROM log_entries WHERE type = 'sign.done' GROUP BY operation HAVING count(*) > 1) l`,
		"I2: more outcomes than intents, or an ended intent without outcome": `
			SELECT count(*) FROM (
				SELECT operation,
					count(*) FILTER (WHERE type = 'sign.intent') AS intents,
					count(*) FILTER (WHERE type IN ('sign.done', 'sign.failed', 'sign.interrupted')) AS outcomes
				FROM log_entries GROUP BY operation) l
			WHERE intents - outcomes <> (SELECT count(*) FROM authorisations a WHERE a.request_id = l.operation AND a.state = 'intent')`,
		"I2: a certificate without intent and outcome in the log, or the reverse": `
			SELECT count(*) FROM (
				SELECT operation,
					count(*) FILTER (WHERE type = 'certificate.intent') AS intents,
					count(*) FILTER (WHERE type IN ('certificate.issued', 'certificate.interrupted')) AS outcomes
				FROM log_entries GROUP BY operation) l
			WHERE intents - outcomes <> (
				SELECT count(*) FROM certificates z JOIN credentials k ON k.id = z.credential_id
				WHERE coalesce(z.request_id, k.citizen_id) = l.operation AND z.state = 'intent')`,
		"I3: a code that authorised without having been consumed": `
			SELECT count(*) FROM authorisations a JOIN challenges c ON c.id = a.challenge_id WHERE c.state <> 'consumed'`,
		"I3: a code that was accepted twice": `
			SELECT count(*) FROM (
				SELECT FROM log_entries
				WHERE type IN ('sign.authorised', 'auth.succeeded') AND convert_from(payload, 'UTF8')::jsonb ? 'challenge'
				GROUP BY convert_from(payload, 'UTF8')::jsonb ->> 'challenge' HAVING count(*) > 1) l`,
		"I3: an authorisation that was used twice": `
			SELECT count(*) FROM (
				SELECT FROM log_entries WHERE type = 'sign.intent' AND payload IS NOT NULL
				GROUP BY convert_from(payload, 'UTF8')::jsonb ->> 'authorisation' HAVING count(*) > 1) l`,
		"I3: a spent ticket that still guards a key": `
			SELECT count(*) FROM tickets WHERE spent_at IS NOT NULL AND sealed_key IS NOT NULL`,
		"I3: an authorisation spent twice": `
			SELECT count(*) FROM (
				SELECT FROM log_entries WHERE type = 'sign.intent' AND payload IS NOT NULL
				GROUP BY convert_from(payload, 'UTF8')::jsonb ->> 'authorisation' HAVING count(*) > 1) l`,
		"I3: a code used twice": `
			SELECT count(*) FROM (
				SELECT FROM log_entries
				WHERE type IN ('sign.authorised', 'auth.succeeded', 'password.changed', 'key.revoked', 'key.suspended', 'key.released')
					AND payload IS NOT NULL AND convert_from(payload, 'UTF8')::jsonb ? 'challenge'
				GROUP BY convert_from(payload, 'UTF8')::jsonb ->> 'challenge' HAVING count(*) > 1) l`,
		"I3: an intent of the log without its authorisation": `
			SELECT count(*) FROM log_entries l WHERE type = 'sign.intent' AND payload IS NOT NULL AND NOT EXISTS (
				SELECT FROM authorisations a
				WHERE a.id = convert_from(l.payload, 'UTF8')::jsonb ->> 'authorisation' AND a.state NOT IN ('authorised', 'void'))`,
		"a signed request with an unsigned document, or the reverse": `
			SELECT count(*) FROM documents d JOIN requests r ON r.id = d.request_id WHERE (r.state = 'signed') <> (d.cms IS NOT NULL)`,
		"a request being signed without an open intent": `
			SELECT count(*) FROM requests r WHERE state = 'signing'
				AND NOT EXISTS (SELECT FROM authorisations a WHERE a.request_id = r.id AND a.state = 'intent')`,
		"a request without documents": `
			SELECT count(*) FROM requests r WHERE NOT EXISTS (SELECT FROM documents d WHERE d.request_id = r.id)`,
		"a certificate in force for a destroyed key": `
			SELECT count(*) FROM certificates z JOIN credentials k ON k.id = z.credential_id
			WHERE z.state = 'issued' AND z.revoked_at IS NULL AND k.state = 'destroyed' AND z.not_after >= (
				SELECT max(at) FROM log_entries
				WHERE type = 'key.destroyed' AND payload IS NOT NULL AND convert_from(payload, 'UTF8')::jsonb ->> 'credential' = k.id)`,
	})
}

// records are the invariants of sealed records and of kept keys.
func records(ctx context.Context, conn *pgx.Conn) error {
	return none(ctx, conn, map[string]string{
		"a citizen whose record is not the newest that the log names": `
			SELECT count(*) FROM citizens c
			LEFT JOIN LATERAL (
				SELECT convert_from(payload, 'UTF8')::jsonb AS p FROM log_entries l
				WHERE l.person = c.identifier AND l.type = 'citizen.sealed' ORDER BY seq DESC LIMIT 1) newest ON true
			WHERE c.seal_epoch > 0
				AND (c.version::text, encode(c.seal, 'hex')) IS DISTINCT FROM (newest.p ->> 'version', newest.p ->> 'seal')`,
		"more than one certificate with which one citizen can sign": `
			SELECT count(*) FROM (
				SELECT FROM certificates z JOIN credentials k ON k.id = z.credential_id
				WHERE k.state = 'usable' AND z.state = 'issued' AND z.revoked_at IS NULL AND position(k.public_key IN z.der) > 0
				GROUP BY k.citizen_id HAVING count(*) > 1) c`,
		"a key of the token that no credential uses, or the reverse": `
			SELECT count(*) FROM (SELECT * FROM token_keys WHERE state = 'live') t
			FULL JOIN (SELECT * FROM credentials WHERE state = 'usable' AND keeper = 'token') k ON k.key_label = t.label AND k.id = t.credential_id
			WHERE t.label IS NULL OR k.id IS NULL`,
		"a consent that waits although its citizen may not sign": `
			SELECT count(*) FROM authorisations a JOIN citizens c ON c.id = a.citizen_id
			LEFT JOIN credentials k ON k.id = a.credential_id AND k.state = 'usable'
			WHERE a.state = 'authorised' AND (c.status <> 'active' OR k.id IS NULL
				OR NOT EXISTS (SELECT FROM certificates z WHERE z.serial = a.serial AND z.state = 'issued' AND z.revoked_at IS NULL))`,
	})
}

// signatures is I4: what was signed is what was authorised.
func signatures(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `
		SELECT
			d.cms,
			d.ordinal,
			a.documents,
			z.der
		FROM documents d
		JOIN authorisations a ON a.request_id = d.request_id AND a.state = 'spent'
		JOIN certificates z ON z.serial = a.serial
		WHERE d.cms IS NOT NULL`)
	if err != nil {
		return fmt.Errorf("reading signatures: %w", err)
	}
	var (
		der, list, certificate []byte
		ordinal                int
	)
	_, err = pgx.ForEachRow(rows, []any{&der, &ordinal, &list, &certificate}, func() error {
		var bound []signer.Bound
		if err := json.Unmarshal(list, &bound); err != nil {
			return fmt.Errorf("reading what was authorised: %w", err)
		}
		c, err := x509.ParseCertificate(certificate)
		if err != nil {
			return fmt.Errorf("reading a certificate: %w", err)
		}
		if ordinal > len(bound) {
			return fmt.Errorf("%w: I4: document %d was not authorised", ErrBroken, ordinal)
		}
		if err := verify(der, bound[ordinal-1], c); err != nil {
			return fmt.Errorf("%w: I4: %w", ErrBroken, err)
		}
		return nil
	})
	return err
}

// verify holds a stored signature against its consent. Of a hash it is a bare
// value by either scheme, or a signature that was built around it.
func verify(stored []byte, b signer.Bound, c *x509.Certificate) error {
	if b.Format != signer.Hash {
		return cms.Verify(stored, b.Digest, c)
	}
	if built, err := cms.Parse(stored); err == nil {
		digest, err := built.MessageDigest()
		return errors.Join(err, cms.Verify(stored, digest, c))
	}
	hash, err := signer.ParseDigest(b.Hash, b.Digest)
	if err != nil {
		return err
	}
	err = cms.CheckValue(c.PublicKey, cms.SignerOpts(hash, cms.PKCS1v15, c.PublicKey), b.Digest, stored)
	if err != nil {
		err = cms.CheckValue(c.PublicKey, cms.SignerOpts(hash, cms.PSS, c.PublicKey), b.Digest, stored)
	}
	return err
}

// log is I5: the whole tree is consistent and extends every one seen before.
func (c *Checker) log(ctx context.Context, _ *pgx.Conn) error {
	return c.Snapshot(ctx, func(l audit.Log) error {
		report, err := audit.Verify(ctx, l, c.known...)
		if err != nil {
			return fmt.Errorf("%w: I5: %w", ErrBroken, err)
		}
		c.known = append(c.known, report.Tree)
		return nil
	})
}

// canaries is I6: no password, code or activation code in any row.
func (c *Checker) canaries(ctx context.Context, conn *pgx.Conn) error {
	// What has no page has no row: half of the tables, in most tests.
	rows, err := conn.Query(ctx, `
		SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0`)
	if err != nil {
		return fmt.Errorf("listing tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("listing tables: %w", err)
	}
	var dump bytes.Buffer
	for _, table := range tables {
		if _, err := conn.PgConn().CopyTo(ctx, &dump, "COPY "+pgx.Identifier{table}.Sanitize()+" TO STDOUT"); err != nil {
			return fmt.Errorf("dumping %s: %w", table, err)
		}
	}
	if c.Elsewhere != nil {
		dump.WriteString(c.Elsewhere())
	}
	if found := c.spelled(dump.String()); found != "" {
		return fmt.Errorf("%w: I6: a secret, in a spelling of %d characters, stands in the database or in the log", ErrBroken, len(found))
	}
	return nil
}

// spelled gives a spelling of a secret that stands in the text. There are
// hundreds: they are looked for in one pass, by how they begin.
func (c *Checker) spelled(text string) string {
	type head [4]byte
	begins := map[head][]string{}
	var may [1 << 16]bool // what begins so, by a hash
	for _, secret := range c.Secrets {
		for _, s := range Spellings(secret) {
			h := head([]byte(s))
			begins[h], may[hash(h)] = append(begins[h], s), true
		}
	}
	for i := range max(0, len(text)-len(head{})+1) {
		h := head{text[i], text[i+1], text[i+2], text[i+3]}
		if !may[hash(h)] {
			continue
		}
		for _, s := range begins[h] {
			if standsAt(text, i, s) {
				return s
			}
		}
	}
	return ""
}

func hash(head [4]byte) uint16 {
	return uint16(binary.LittleEndian.Uint32(head[:]) * 0x9e3779b1 >> 16) // Knuth's: the upper half is well mixed
}

// Spellings are the forms in which a secret gives itself away: as it is, as
// bytes in hexadecimal or base64, and under a hash without a key, which a code
// of eight digits does not survive.
func Spellings(secret string) []string {
	raw, sum := []byte(secret), sha256.Sum256([]byte(secret))
	return []string{
		secret,
		hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sum[:]), base64.RawURLEncoding.EncodeToString(sum[:]),
	}
}

// Stands reports whether a spelling is in a text.
func Stands(text, spelling string) bool {
	for from := 0; ; from++ {
		next := strings.Index(text[from:], spelling)
		if next < 0 {
			return false
		}
		if from += next; standsAt(text, from, spelling) {
			return true
		}
	}
}

// standsAt reports whether a spelling is at that place of a text. One as short as
// a code must stand apart: eight digits in a row are in many a value in hexadecimal.
func standsAt(text string, at int, spelling string) bool {
	const short = 12
	end := at + len(spelling)
	return strings.HasPrefix(text[at:], spelling) && (len(spelling) >= short ||
		(at == 0 || !alphanumeric(text[at-1])) && (end == len(text) || !alphanumeric(text[end])))
}

func alphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z'
}
