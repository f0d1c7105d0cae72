package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// pieceSize is what a content is cut into: what a process holds of it at a time.
const pieceSize = 1 << 20

// ErrContentChanged means that a content was not the same when it was read again.
var ErrContentChanged = errors.New("the content changed while it was read")

// AddUpload implements requests.Store.
func (p Public) AddUpload(ctx context.Context, u signer.Upload, content io.Reader) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error { return addContent(ctx, tx, u, content) })
}

// Upload implements requests.Store.
func (p Public) Upload(ctx context.Context, applicationID, id string) (signer.Upload, error) {
	u := signer.Upload{ID: id, ApplicationID: applicationID}
	err := p.db.pool.QueryRow(ctx, `
		SELECT size, sha256, created_at
		FROM contents
		WHERE id = @id AND application_id = @application`, pgx.NamedArgs{"id": id, "application": applicationID}).Scan(
		&u.Size, &u.SHA256, &u.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return u, policies.Refuse(policies.UploadUnknown)
	}
	return u, err
}

// addContent writes a content in pieces.
func addContent(ctx context.Context, tx pgx.Tx, u signer.Upload, content io.Reader) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO contents (id, application_id, size, sha256, created_at)
		VALUES (@id, @application, @size, @sha256, @created)`, pgx.NamedArgs{
		"id":          u.ID,
		"application": u.ApplicationID,
		"size":        u.Size,
		"sha256":      u.SHA256,
		"created":     u.CreatedAt,
	})
	if err != nil {
		return err
	}
	hash, left := sha256.New(), u.Size
	piece := make([]byte, min(pieceSize, u.Size))
	for n := 0; left > 0; n++ {
		size, err := io.ReadFull(content, piece[:min(left, pieceSize)])
		if err != nil {
			return fmt.Errorf("reading a content: %w", err)
		}
		left -= int64(size)
		hash.Write(piece[:size])
		_, err = tx.Exec(ctx, `
			INSERT INTO content_pieces (content_id, n, data)
			VALUES (@id, @n, @data)`, pgx.NamedArgs{"id": u.ID, "n": n, "data": piece[:size]})
		if err != nil {
			return err
		}
	}
	if !bytes.Equal(hash.Sum(nil), u.SHA256) {
		return ErrContentChanged
	}
	return nil
}

// useContent is the content of a new document: one that was sent before, or one
// that came with the request.
func useContent(ctx context.Context, tx pgx.Tx, r signer.Request, d signer.Document, c signer.NewContent) (string, error) {
	if c.Upload != "" {
		var id string
		err := tx.QueryRow(ctx, `
			SELECT id
			FROM contents
			WHERE id = @id AND application_id = @application AND sha256 = @sha256`, pgx.NamedArgs{"id": c.Upload, "application": r.Application.ID, "sha256": d.SHA256}).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return "", policies.Refuse(policies.UploadUnknown)
		}
		return id, err
	}
	content, err := c.Open()
	if err != nil {
		return "", fmt.Errorf("reading a content: %w", err)
	}
	u := signer.Upload{ID: rand.Text(), ApplicationID: r.Application.ID, Size: d.Size, SHA256: d.SHA256, CreatedAt: r.CreatedAt}
	return u.ID, addContent(ctx, tx, u, content)
}

// WriteContent implements requests.Store.
func (p Public) WriteContent(ctx context.Context, w io.Writer, requestID string, ordinal int) error {
	var id string
	err := p.db.pool.QueryRow(ctx, `
		SELECT coalesce(content_id, '')
		FROM documents
		WHERE request_id = @request AND ordinal = @ordinal`, pgx.NamedArgs{"request": requestID, "ordinal": ordinal}).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return policies.Refuse(policies.NotFound)
	}
	if err != nil {
		return err
	}
	return p.WriteUpload(ctx, w, id)
}

// WriteUpload implements requests.Store.
func (p Public) WriteUpload(ctx context.Context, w io.Writer, id string) error {
	rows, err := p.db.pool.Query(ctx, `
		SELECT data
		FROM content_pieces
		WHERE content_id = @id
		ORDER BY n`, pgx.NamedArgs{"id": id})
	if err != nil {
		return err
	}
	var (
		piece pgtype.DriverBytes // valid until the next row: no copy is held
		found bool
	)
	_, err = pgx.ForEachRow(rows, []any{&piece}, func() error {
		found = true
		_, err := w.Write(piece)
		return err
	})
	if err == nil && !found {
		return policies.Refuse(policies.NotFound)
	}
	return err
}

// Update implements requests.Store.
func (p Public) Update(ctx context.Context, requestID string, ordinal int) ([]byte, error) {
	var update []byte
	err := p.db.pool.QueryRow(ctx, `
		SELECT update
		FROM documents
		WHERE request_id = @request AND ordinal = @ordinal`, pgx.NamedArgs{"request": requestID, "ordinal": ordinal}).Scan(&update)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, policies.Refuse(policies.NotFound)
	}
	return update, err
}

// Augmented implements requests.Store.
func (p Public) Augmented(ctx context.Context, requestID string, ordinal int) (*signer.Augmented, error) {
	a := signer.Augmented{Ordinal: ordinal}
	err := p.db.pool.QueryRow(ctx, `
		SELECT
			level,
			lacking,
			cms,
			tail
		FROM augmentations
		WHERE request_id = @request AND ordinal = @ordinal`, pgx.NamedArgs{"request": requestID, "ordinal": ordinal}).Scan(
		&a.Reached,
		&a.Lacking,
		&a.CMS,
		&a.Tail,
	)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // the contract: nil if there is none
	}
	return &a, err
}

// Augment implements requests.Store. What is there already and reaches as far
// stays: of two that worked at the same signature the first wins, and the last
// says what lacks.
func (p Public) Augment(ctx context.Context, requestID string, a signer.Augmented, now time.Time) error {
	_, err := p.db.pool.Exec(ctx, `
		INSERT INTO augmentations (request_id, ordinal, level, lacking, cms, tail, at)
		SELECT request_id, ordinal, @level, @lacking, @cms, @tail, @at
		FROM documents
		WHERE request_id = @request AND ordinal = @ordinal AND cms IS NOT NULL AND content_id IS NOT NULL
		ON CONFLICT (request_id, ordinal) DO UPDATE
		SET
			level = @level,
			lacking = @lacking,
			cms = CASE WHEN augmentations.level = @level THEN augmentations.cms ELSE @cms END,
			tail = CASE WHEN augmentations.level = @level THEN augmentations.tail ELSE @tail END,
			at = @at
		WHERE array_position(@levels, augmentations.level) <= array_position(@levels, @level)`, pgx.NamedArgs{
		"request": requestID,
		"ordinal": a.Ordinal,
		"level":   a.Reached,
		"lacking": a.Lacking,
		"cms":     a.CMS,
		"tail":    append([]byte{}, a.Tail...),
		"at":      now,
		"levels":  []string{"B-B", "B-T", "B-LT", "B-LTA"},
	})
	return err
}
