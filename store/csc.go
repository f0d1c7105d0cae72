package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// insertHashes stores those documents of a new request of which only a hash has
// come, all in one statement: they may be a hundred.
func insertHashes(ctx context.Context, tx pgx.Tx, r signer.Request) error {
	var (
		ordinals             []int
		names, formats, oids []string
		given, sums          [][]byte
	)
	for _, d := range r.Documents {
		if d.Given == nil {
			continue
		}
		ordinals, names, formats, oids = append(ordinals, d.Ordinal), append(names, d.Name), append(formats, string(d.Format)), append(oids, d.Hash)
		given, sums = append(given, d.Given), append(sums, d.SHA256)
	}
	if len(ordinals) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO documents (request_id, ordinal, name, media_type, format, size, sha256, hash, given)
		SELECT @request, d.ordinal, d.name, '', d.format, length(d.given), d.sha256, d.hash, d.given
		FROM unnest(@ordinals::integer[], @names::text[], @formats::text[], @hashes::text[], @given::bytea[], @sums::bytea[])
			AS d (ordinal, name, format, hash, given, sha256)`, pgx.NamedArgs{
		"request":  r.ID,
		"ordinals": ordinals,
		"names":    names,
		"formats":  formats,
		"hashes":   oids,
		"given":    given,
		"sums":     sums,
	})
	return err
}

// HandOut implements csc.Store. Of two who ask for the same at once one gets it.
//
// Its commit does not wait for the disk: should the server die in that moment, an
// application may fetch a signature again that it has been given already. Nothing
// is signed because of it; intent and outcome have been durable before.
func (p Public) HandOut(ctx context.Context, requestID string, ordinals []int, now time.Time) error {
	return handOut(ctx, p.db.pool, requestID, ordinals, now)
}

func handOut(ctx context.Context, to executor, requestID string, ordinals []int, now time.Time) error {
	tag, err := to.Exec(ctx, `
		INSERT INTO handed_out (request_id, ordinal, at)
		SELECT @request, ordinal, @now
		FROM documents, (SELECT set_config('synchronous_commit', 'off', true)) AS lazily
		WHERE request_id = @request AND ordinal = ANY(@ordinals::integer[]) AND cms IS NOT NULL`,
		pgx.NamedArgs{"request": requestID, "ordinals": ordinals, "now": now})
	if violated(err, "handed_out_pkey") || err == nil && int(tag.RowsAffected()) != len(ordinals) {
		return policies.Refuse(policies.AuthorisationInvalid)
	}
	return err
}

// executor is a pool or a transaction.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Keep implements requests.Store. What waits already, or has been handed out, is
// not exchanged.
func (p Public) Keep(ctx context.Context, n signer.NewRequest, now time.Time) error {
	r, higher := n.Request, false
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		for i, d := range r.Documents {
			if err := keep(ctx, tx, r, d, n.Contents[i]); err != nil {
				return inDocument(err, d)
			}
			higher = higher || d.Level != "B-B"
		}
		if !higher {
			return nil
		}
		return p.db.augmentLater(ctx, tx, r.ID, now)
	})
}

func keep(ctx context.Context, tx pgx.Tx, r signer.Request, d signer.Document, c signer.NewContent) (err error) {
	contentID := ""
	if c.Open != nil {
		if contentID, err = useContent(ctx, tx, r, d, c); err != nil {
			return err
		}
	}
	return swap(ctx, tx, policies.Refuse(policies.AuthorisationInvalid), `
		UPDATE documents d
		SET built = @built, level = @level, layout = @layout, content_id = @content, update = @update
		WHERE request_id = @request AND ordinal = @ordinal AND format = 'hash' AND cms IS NOT NULL AND built IS NULL AND NOT EXISTS (
			SELECT FROM handed_out o WHERE o.request_id = d.request_id AND o.ordinal = d.ordinal)`, pgx.NamedArgs{
		"request": r.ID,
		"ordinal": d.Ordinal,
		"built":   d.Built,
		"level":   d.Level,
		"layout":  orNull(string(d.Layout)),
		"content": orNull(contentID),
		"update":  c.Update,
	})
}

// HandOver implements csc.Store. What was kept is forgotten as it leaves.
func (p Public) HandOver(ctx context.Context, requestID string, ordinals []int, now time.Time) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		if err := handOut(ctx, tx, requestID, ordinals, now); err != nil {
			return err
		}
		args := pgx.NamedArgs{"request": requestID, "ordinals": ordinals}
		for _, sql := range []string{
			`
			DELETE FROM contents c
			USING documents d
			WHERE d.content_id = c.id AND d.request_id = @request AND d.ordinal = ANY(@ordinals::integer[]) AND d.built IS NOT NULL`, `
			DELETE FROM augmentations
			WHERE request_id = @request AND ordinal = ANY(@ordinals::integer[])`, `
			UPDATE documents
			SET built = NULL, level = 'B-B', layout = NULL, update = NULL
			WHERE request_id = @request AND ordinal = ANY(@ordinals::integer[]) AND built IS NOT NULL`,
		} {
			if _, err := tx.Exec(ctx, sql, args); err != nil {
				return err
			}
		}
		return nil
	})
}

// Webhooks implements csc.Store.
func (p Public) Webhooks(ctx context.Context, applicationID string) ([]signer.Webhook, error) {
	return p.db.Webhooks(ctx, applicationID)
}

// HandedOut implements csc.Store.
func (p Public) HandedOut(ctx context.Context, requestID string) ([]int, error) {
	rows, err := p.db.pool.Query(ctx, `
		SELECT ordinal
		FROM handed_out
		WHERE request_id = @request
		ORDER BY ordinal`, pgx.NamedArgs{"request": requestID})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// CredentialOf implements csc.Store.
func (p Public) CredentialOf(ctx context.Context, credentialID string) (signer.Citizen, signer.Credential, error) {
	citizen, credential, err := readPerson(ctx, p.db.pool, "c.id = (SELECT citizen_id FROM credentials WHERE id = @key)", credentialID)
	if errors.Is(err, policies.Refuse(policies.CitizenUnknown)) || err == nil && (credential == nil || credential.ID != credentialID) {
		err = policies.Refuse(policies.CredentialMissing)
	}
	if err != nil {
		return signer.Citizen{}, signer.Credential{}, err
	}
	return citizen, *credential, nil
}
