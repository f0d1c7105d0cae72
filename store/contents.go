package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// pieceSize is what a content is cut into: what a process holds of it at a time.
const pieceSize = 1 << 20

// armful is how many pieces of an upload are stored at a time: each time costs a
// commit.
const armful = 8

// AddUpload implements requests.Store. Each armful is a transaction of its own, so
// that no connection waits for a sender. What is left where the process dies goes
// with what no request uses.
func (p Public) AddUpload(ctx context.Context, u signer.Upload, content io.Reader) (signer.Upload, error) {
	u, err := p.receive(ctx, u, content)
	if err != nil {
		// Whoever breaks off takes the context along.
		_, forgotten := p.db.pool.Exec(context.WithoutCancel(ctx), `DELETE FROM contents WHERE id = @id`, pgx.NamedArgs{"id": u.ID})
		return u, errors.Join(err, forgotten)
	}
	return u, nil
}

func (p Public) receive(ctx context.Context, u signer.Upload, content io.Reader) (signer.Upload, error) {
	sum, held := sha256.New(), make([]byte, armful*pieceSize)
	content = io.TeeReader(content, sum)
	var end error
	for n := uint32(0); end == nil; n += armful {
		var size int64
		size, end = fill(held, content)
		if end != nil && !errors.Is(end, io.EOF) {
			return u, end
		}
		if size == 0 {
			break
		}
		if err := p.addPieces(ctx, u, n, held[:size]); err != nil {
			return u, err
		}
		u.Size += size
	}
	if u.SHA256 = sum.Sum(nil); u.Size == 0 {
		return u, nil
	}
	return u, p.db.inTx(ctx, func(tx pgx.Tx) error {
		return swap(ctx, tx, policies.Refuse(policies.UploadUnknown), `
			UPDATE contents
			SET size = @size, sha256 = @sha256
			WHERE id = @id AND sha256 IS NULL`, pgx.NamedArgs{"id": u.ID, "size": u.Size, "sha256": u.SHA256})
	})
}

// fill reads until there is no more room, or no more: io.ReadFull would not tell a
// content that ends from one that breaks off.
func fill(p []byte, from io.Reader) (size int64, err error) {
	for size < int64(len(p)) && err == nil {
		var n int
		n, err = from.Read(p[size:])
		size += int64(n)
	}
	return size, err
}

func (p Public) addPieces(ctx context.Context, u signer.Upload, n uint32, held []byte) error {
	if err := p.db.bulk.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.db.bulk.Release(1)
	return classify(p.db.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		if n == 0 {
			_, err := conn.Exec(ctx, `
				INSERT INTO contents (id, application_id, created_at)
				VALUES (@id, @application, @created)`, pgx.NamedArgs{"id": u.ID, "application": u.ApplicationID, "created": u.CreatedAt})
			if err != nil {
				return err
			}
		}
		return copyPieces(ctx, conn.Conn(), pieces(u.ID, n, int64(len(held)), bytes.NewReader(held)))
	}))
}

// Upload implements requests.Store.
func (p Public) Upload(ctx context.Context, applicationID, id string) (signer.Upload, error) {
	u := signer.Upload{ID: id, ApplicationID: applicationID}
	err := p.db.pool.QueryRow(ctx, `
		SELECT size, sha256, created_at
		FROM contents
		WHERE id = @id AND application_id = @application AND sha256 IS NOT NULL`, pgx.NamedArgs{"id": id, "application": applicationID}).Scan(
		&u.Size, &u.SHA256, &u.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return u, policies.Refuse(policies.UploadUnknown)
	}
	return u, err
}

// addContent writes a content in pieces, within the transaction of the request
// that it came with.
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
	octets := &exactly{from: content, left: u.Size}
	err = copyPieces(ctx, tx.Conn(), pieces(u.ID, 0, u.Size, octets))
	if octets.err != nil {
		return fmt.Errorf("reading a content: %w", octets.err)
	}
	return err
}

func copyPieces(ctx context.Context, conn *pgx.Conn, rows io.Reader) error {
	_, err := conn.PgConn().CopyFrom(ctx, rows, `COPY content_pieces (content_id, n, data) FROM STDIN BINARY`)
	return err
}

// pieces are the rows of a content, from the nth on, as COPY reads them in binary ("Binary Format"
// of PostgreSQL's COPY): none of them is held. What a content is, it was hashed as
// when it came; that it still is, whoever reads it checks.
func pieces(id string, n uint32, size int64, content io.Reader) io.Reader {
	parts := []io.Reader{strings.NewReader("PGCOPY\n\xff\r\n\x00" + strings.Repeat("\x00", 8))}
	for ; size > 0; n++ {
		piece := min(size, pieceSize)
		head := binary.BigEndian.AppendUint16(nil, 3)
		head = append(binary.BigEndian.AppendUint32(head, uint32(len(id))), id...) //nolint:gosec // ids are short
		head = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(head, 4), n)
		head = binary.BigEndian.AppendUint32(head, uint32(piece))
		parts = append(parts, bytes.NewReader(head), io.LimitReader(content, piece))
		size -= piece
	}
	return io.MultiReader(append(parts, strings.NewReader("\xff\xff"))...)
}

// exactly is as many octets as were announced, or an error.
type exactly struct {
	from io.Reader
	left int64
	err  error
}

// Read implements io.Reader.
func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.from.Read(p)
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		e.err = err
	}
	return n, err
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
	if err := p.db.bulk.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.db.bulk.Release(1)
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
// says what lacks. The application is told when the last signature of a request
// has come as far as was asked for.
func (p Public) Augment(ctx context.Context, requestID string, a signer.Augmented, now time.Time) error {
	return p.db.inTx(ctx, func(tx pgx.Tx) error {
		// Two that end at the same moment would each find that the other is missing.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(@id, 0))`, pgx.NamedArgs{"id": requestID}); err != nil {
			return err
		}
		if kept, err := augment(ctx, tx, requestID, a, now); err != nil || !kept {
			return err
		}
		var lacking bool
		err := tx.QueryRow(ctx, `
			SELECT EXISTS (
				SELECT
				FROM documents d
				LEFT JOIN augmentations a ON a.request_id = d.request_id AND a.ordinal = d.ordinal
				WHERE d.request_id = @id AND d.level <> 'B-B'
					AND (a.level IS NULL OR array_position(@levels, a.level) < array_position(@levels, d.level))
			)`, pgx.NamedArgs{"id": requestID, "levels": levels()}).Scan(&lacking)
		if err != nil || lacking {
			return err
		}
		return p.db.announce(ctx, tx, requestID, signer.EventLevelReached, now)
	})
}

// levels are the levels of signatures, the lowest first.
func levels() []string { return []string{"B-B", "B-T", "B-LT", "B-LTA"} }

// augment reports whether there is still something to be lifted, and no more of it
// is there already.
func augment(ctx context.Context, tx pgx.Tx, requestID string, a signer.Augmented, now time.Time) (kept bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO augmentations (request_id, ordinal, level, lacking, cms, tail, at)
		SELECT request_id, ordinal, @level, @lacking, @cms, @tail, @at
		FROM documents
		WHERE request_id = @request AND ordinal = @ordinal AND cms IS NOT NULL AND (content_id IS NOT NULL OR built IS NOT NULL)
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
		"levels":  levels(),
	})
	return tag.RowsAffected() > 0, err
}
