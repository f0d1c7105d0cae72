package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Public is the database as the role of the public side sees it. It fulfils
// the Store interfaces of the rooms under api.
type Public struct{ db *DB }

// ForPublic narrows a DB opened with the public side's role.
func ForPublic(db *DB) Public { return Public{db} }

// Ping reports whether the database answers.
func (p Public) Ping(ctx context.Context) error { return p.db.Ping(ctx) }

// Request reads one request without its contents.
func (p Public) Request(ctx context.Context, id string) (signer.Request, error) {
	return p.db.Request(ctx, id)
}

// EarlierRequest implements requests.Store.
func (p Public) EarlierRequest(ctx context.Context, applicationID, key string, bodyHash []byte) (string, error) {
	return earlierRequest(ctx, p.db.pool, applicationID, key, bodyHash)
}

func earlierRequest(ctx context.Context, q querier, applicationID, key string, bodyHash []byte) (string, error) {
	return earlier(ctx, q, "requests", pgx.NamedArgs{"application": applicationID, "key": key, "hash": bodyHash})
}

// earlier is what an application has stored in a table by that key.
func earlier(ctx context.Context, q querier, table string, args pgx.NamedArgs) (string, error) {
	var (
		id   string
		same bool
	)
	err := q.QueryRow(ctx, `
		SELECT id, body_hash = @hash
		FROM `+table+`
		WHERE application_id = @application AND idempotency_key = @key`, args).Scan(&id, &same)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", nil
	case err != nil:
		return "", err
	case !same:
		return "", policies.Refuse(policies.IdempotencyKeyReused)
	}
	return id, nil
}

// AddRequest implements requests.Store.
func (p Public) AddRequest(ctx context.Context, n signer.NewRequest) (id string, replayed bool, err error) {
	err = p.db.inTx(ctx, func(tx pgx.Tx) error {
		_, err := addRequest(ctx, tx, n)
		return err
	})
	if violated(err, "requests_idempotency") {
		id, err = p.EarlierRequest(ctx, n.Request.Application.ID, n.IdempotencyKey, n.BodyHash)
		return id, true, err
	}
	return n.Request.ID, false, err
}

// addRequest gives the ids of the contents that it has stored or found.
func addRequest(ctx context.Context, tx pgx.Tx, n signer.NewRequest) (contents []string, err error) {
	r := n.Request
	_, err = tx.Exec(ctx, `
		INSERT INTO requests (id, application_id, identifier, title, locale, return_url, idempotency_key, body_hash, created_at, expires_at,
			particulars, rejected)
		VALUES (@id, @application, @identifier, @title, @locale, @return, @key, @hash, @created, @expires, @particulars, @rejected)`, pgx.NamedArgs{
		"id":          r.ID,
		"application": r.Application.ID,
		"identifier":  r.Identifier,
		"title":       r.Title,
		"locale":      r.Locale,
		"return":      r.ReturnURL,
		"key":         n.IdempotencyKey,
		"hash":        n.BodyHash,
		"created":     r.CreatedAt,
		"expires":     r.ExpiresAt,
		"particulars": append([]signer.Particular{}, r.Particulars...),
		"rejected":    append([]signer.Rejected{}, r.Rejected...),
	})
	if err != nil {
		return nil, err
	}
	for i, d := range r.Documents {
		if d.Given != nil {
			continue // all of them in one statement
		}
		id, err := useContent(ctx, tx, r, d, n.Contents[i])
		if err != nil {
			return nil, inDocument(err, d)
		}
		if err := insertDocument(ctx, tx, r.ID, d, id, n.Contents[i].Update); err != nil {
			return nil, inDocument(err, d)
		}
		contents = append(contents, id)
	}
	return contents, insertHashes(ctx, tx, r)
}

func inDocument(err error, d signer.Document) error {
	return fmt.Errorf("storing document %d: %w", d.Ordinal, err)
}

func insertDocument(ctx context.Context, tx pgx.Tx, requestID string, d signer.Document, contentID string, update []byte) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO documents (request_id, ordinal, name, media_type, format, size, sha256, pages, layout, content_id, update, options,
			attributes, findings, level)
		VALUES (@request, @ordinal, @name, @media, @format, @size, @sha256, @pages, @layout, @content, @update, @options,
			@attributes, @findings, @level)`, pgx.NamedArgs{
		"request":    requestID,
		"ordinal":    d.Ordinal,
		"name":       d.Name,
		"media":      d.MediaType,
		"format":     d.Format,
		"size":       d.Size,
		"sha256":     d.SHA256,
		"pages":      d.Pages,
		"layout":     orNull(string(d.Layout)),
		"content":    contentID,
		"update":     update,
		"options":    cmp.Or(string(d.Options), "{}"),
		"attributes": d.Attributes,
		"findings":   append([]string{}, d.Findings...),
		"level":      cmp.Or(string(d.Level), "B-B"),
	})
	if violated(err, "documents_content_id_fkey") { // forgotten in the same moment
		return policies.Refuse(policies.UploadUnknown)
	}
	return err
}

// FixDocuments implements requests.Store. A ticket that has been spent or
// replaced may not fix anything any more. One that is spent between this look
// and the update changes nothing that is signed: the signer signs the digests
// that it kept with the code, and records a signature only where they still stand.
// Of several calls for one ticket the first settles it: a page that shows one
// reference must not be followed by a code that names another. But once another
// signature has come into a PDF, what was fixed can no longer be signed, and gives
// way.
func (p Public) FixDocuments(ctx context.Context, requestID string, ticketHash []byte, fixed []signer.Fixed) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		var live bool
		err := tx.QueryRow(ctx, `
			SELECT EXISTS (
				SELECT FROM tickets t
				JOIN requests r ON r.id = t.request_id
				WHERE t.hash = @ticket AND t.spent_at IS NULL AND r.id = @request AND r.state = 'pending'
			)`, pgx.NamedArgs{"request": requestID, "ticket": ticketHash}).Scan(&live)
		if err != nil {
			return err
		}
		if !live {
			return policies.Refuse(policies.SessionExpired)
		}
		for _, f := range fixed {
			err := swap(ctx, tx, policies.Refuse(policies.RequestState), `
				UPDATE documents
				SET
					signing_time = CASE WHEN `+settled+` THEN signing_time ELSE @time END,
					hash = CASE WHEN `+settled+` THEN hash ELSE @hash END,
					digest = CASE WHEN `+settled+` THEN digest ELSE @digest END,
					layout = CASE WHEN `+settled+` THEN layout ELSE coalesce(@layout, layout) END,
					update = CASE WHEN `+settled+` THEN update ELSE coalesce(@update, update) END,
					prefix = CASE WHEN `+settled+` OR revision = @revision THEN prefix ELSE @prefix END,
					revision = CASE WHEN `+settled+` THEN revision ELSE @revision END,
					fixed_for = @ticket
				WHERE request_id = @request AND ordinal = @ordinal AND cms IS NULL`, pgx.NamedArgs{
				"request":  requestID,
				"ordinal":  f.Ordinal,
				"time":     f.SigningTime,
				"hash":     f.Hash,
				"digest":   f.Digest,
				"layout":   orNull(string(f.Layout)),
				"update":   f.Update,
				"revision": f.Revision,
				"prefix":   f.Prefix,
				"ticket":   ticketHash,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// settled is what the ticket has fixed already, and what can still be signed.
const settled = `fixed_for = @ticket AND revision >= @revision`

// Person implements requests.Store. The public side's role cannot read boxes.
func (p Public) Person(ctx context.Context, identifier string) (signer.Citizen, *signer.Credential, error) {
	return readPerson(ctx, p.db.pool, "c.identifier = @key", identifier)
}

// Visitor reads who is behind a ticket, spent or not, until it expires.
func (p Public) Visitor(ctx context.Context, ticketHash []byte, now time.Time) (signer.Visitor, error) {
	var (
		v         signer.Visitor
		citizenID string
		spent     *time.Time
	)
	err := p.db.pool.QueryRow(ctx, `
		SELECT
			purpose,
			via,
			coalesce(request_id, ''),
			citizen_id,
			coalesce(credential_id, ''),
			verified,
			spent_at,
			replaces,
			expires_at
		FROM tickets
		WHERE hash = @hash AND expires_at > @now`, pgx.NamedArgs{"hash": ticketHash, "now": now}).Scan(
		&v.Purpose,
		&v.Via,
		&v.RequestID,
		&citizenID,
		&v.CredentialID,
		&v.Verified,
		&spent,
		&v.Replaces,
		&v.ExpiresAt,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, policies.Refuse(policies.SessionExpired)
	}
	if err != nil {
		return v, err
	}
	v.Spent, v.SpentAt = spent != nil, orZero(spent)
	v.Citizen, v.Credential, err = readPerson(ctx, p.db.pool, "c.id = @key", citizenID)
	v.Certified = v.Credential != nil && v.Credential.Certified(now) && !v.Replaces
	return v, err
}

// Challenge reads the ticket's newest code for a purpose, nil if there is none.
func (p Public) Challenge(ctx context.Context, ticketHash []byte, purpose signer.Purpose) (*signer.SentCode, error) {
	var c signer.SentCode
	err := p.db.pool.QueryRow(ctx, `
		SELECT
			state,
			reference,
			attempts,
			created_at,
			expires_at,
			coalesce((SELECT m.state FROM sms_messages m WHERE m.id = challenges.id), '')
		FROM challenges
		WHERE ticket_hash = @ticket AND purpose = @purpose
		ORDER BY created_at DESC, state IN ('failed', 'superseded')
		LIMIT 1`, pgx.NamedArgs{"ticket": ticketHash, "purpose": purpose}).Scan(
		&c.State,
		&c.Reference,
		&c.Attempts,
		&c.SentAt,
		&c.ExpiresAt,
		&c.Delivery,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // the contract: nil if there is none
	}
	return &c, err
}

// Token reads a live access token of an enabled client (policies.ApplicationUnknown).
func (p Public) Token(ctx context.Context, hash []byte, now time.Time) (signer.AccessToken, error) {
	var t signer.AccessToken
	err := p.db.pool.QueryRow(ctx, `
		SELECT
			t.hash,
			t.application_id,
			t.scopes,
			t.expires_at
		FROM access_tokens t
		JOIN applications a ON a.id = t.application_id AND a.enabled
		WHERE t.hash = @hash AND t.expires_at > @now AND t.jkt IS NULL AND t.certificate IS NULL`, pgx.NamedArgs{"hash": hash, "now": now}).Scan(
		&t.Hash,
		&t.ClientID,
		&t.Scopes,
		&t.ExpiresAt,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, policies.Refuse(policies.ApplicationUnknown)
	}
	return t, err
}

// Hierarchy reads the authorities and their services, oldest first.
func (p Public) Hierarchy(ctx context.Context) (ca.Hierarchy, error) { return p.db.Hierarchy(ctx) }

// AuthorityDER reads a certificate of the internal CA by name.
func (p Public) AuthorityDER(ctx context.Context, name string) ([]byte, error) {
	var der []byte
	err := p.db.pool.QueryRow(ctx, `SELECT der FROM authorities WHERE name = @name`, pgx.NamedArgs{"name": name}).Scan(&der)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, policies.Refuse(policies.NotFound)
	}
	return der, err
}

// RevocationList reads the newest list of a shard (policies.NotFound).
func (p Public) RevocationList(ctx context.Context, shard string) (ca.PublishedList, error) {
	l, err := p.db.newestList(ctx, shard, "der")
	if err == nil && l.Number == 0 {
		return l, policies.Refuse(policies.NotFound)
	}
	return l, err
}

// LastCertificateChange is where the feed of changed certificates stands.
func (p Public) LastCertificateChange(ctx context.Context) (int64, error) {
	return p.db.LastCertificateChange(ctx)
}

// CertificateChanges reads the feed after a number.
func (p Public) CertificateChanges(ctx context.Context, after int64) ([]ca.Change, error) {
	return p.db.CertificateChanges(ctx, after)
}

// Certificate reads an issued certificate by its serial (policies.NotFound).
func (p Public) Certificate(ctx context.Context, serial string) ([]byte, error) {
	var der []byte
	err := p.db.pool.QueryRow(ctx, `
		SELECT der
		FROM certificates
		WHERE serial = @serial AND state = 'issued'`, pgx.NamedArgs{"serial": serial}).Scan(&der)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, policies.Refuse(policies.NotFound)
	}
	return der, err
}

// Recipient implements notify.Records.
func (p Public) Recipient(ctx context.Context, citizenID string) (signer.Citizen, *signer.Certificate, error) {
	c, k, err := readPerson(ctx, p.db.pool, "c.id = @key", citizenID)
	if err != nil || k == nil {
		return c, nil, err
	}
	return c, k.Certificate, nil
}

// unneeded are requests r whose signatures nobody else is to sign over, or to
// fetch with those of others.
const unneeded = `NOT EXISTS (
	SELECT FROM envelope_signers s JOIN envelopes e ON e.id = s.envelope_id
	WHERE s.request_id = r.id AND (e.closed_at IS NULL OR e.closed_at >= @before))`

// Purge forgets what is no longer needed: expired tokens, the documents of
// requests that ended before the retention began (TS 119 431-2, OVR-7.13-03), and
// uploads that no request has used for so long. What another request still needs
// stays for that one.
func (p Public) Purge(ctx context.Context, now time.Time, retention, uploads time.Duration) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"now": now, "before": now.Add(-retention), "idle": now.Add(-uploads)}
		for _, sql := range []string{
			`
			DELETE FROM access_tokens
			WHERE expires_at < @now`, `
			DELETE FROM oauth_grants
			WHERE expires_at < @now`, `
			DELETE FROM oauth_sessions
			WHERE expires_at < @now`, `
			DELETE FROM oauth_proofs
			WHERE expires_at < @now`, `
			DELETE FROM contents c
			USING documents d JOIN requests r ON r.id = d.request_id
			WHERE d.content_id = c.id AND r.closed_at < @before AND r.purged_at IS NULL AND NOT EXISTS (
				SELECT FROM documents o JOIN requests u ON u.id = o.request_id
				WHERE o.content_id = c.id AND (u.closed_at IS NULL OR u.closed_at >= @before)
				OFFSET 0) -- asked of each content, not of all that there are
				AND ` + unneeded, `
			UPDATE documents
			SET content_id = NULL, update = NULL, prefix = NULL, built = NULL
			WHERE (content_id IS NOT NULL OR update IS NOT NULL OR prefix IS NOT NULL OR built IS NOT NULL)
				AND request_id IN (SELECT id FROM requests r WHERE closed_at < @before AND purged_at IS NULL AND ` + unneeded + `)`, `
			DELETE FROM contents c
			WHERE created_at < @idle AND NOT EXISTS (SELECT FROM documents WHERE content_id = c.id)`, `
			DELETE FROM augmentations a
			USING requests r
			WHERE r.id = a.request_id AND r.closed_at < @before AND r.purged_at IS NULL AND ` + unneeded, `
			UPDATE requests r
			SET purged_at = @now
			WHERE closed_at < @before AND purged_at IS NULL AND ` + unneeded,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return nil
	})
}
