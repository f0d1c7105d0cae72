package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/policies"
)

var (
	_ publication.Store         = (*DB)(nil)
	_ publication.RecoveryStore = (*DB)(nil)
)

// LogHead is the head of the log, read in one statement.
func (db *DB) LogHead(ctx context.Context) (audit.Head, error) { return readHead(ctx, db.pool, "") }

// ReadHashes implements audit.HashReader: all, or policies.NotFound. What has a
// number never changes, so no transaction is needed around several calls.
func (db *DB) ReadHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT h.hash
		FROM unnest(@indexes::bigint[]) WITH ORDINALITY AS asked (index, place)
		JOIN log_hashes h USING (index)
		ORDER BY asked.place`, pgx.NamedArgs{"indexes": indexes})
	if err != nil {
		return nil, err
	}
	hashes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (tlog.Hash, error) {
		var b []byte
		if err := row.Scan(&b); err != nil {
			return tlog.Hash{}, err
		}
		if len(b) != tlog.HashSize {
			return tlog.Hash{}, errEdge
		}
		return tlog.Hash(b), nil
	})
	if err == nil && len(hashes) != len(indexes) {
		return nil, policies.Refuse(policies.NotFound)
	}
	return hashes, classify(err)
}

// Leaves reads the leaves of [from, to), all or an error (policies.NotFound).
func (db *DB) Leaves(ctx context.Context, from, to int64) ([][]byte, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT leaf
		FROM log_entries
		WHERE seq >= @from AND seq < @to
		ORDER BY seq`, pgx.NamedArgs{"from": from, "to": to})
	if err != nil {
		return nil, err
	}
	leaves, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err == nil && int64(len(leaves)) != to-from {
		return nil, policies.Refuse(policies.NotFound)
	}
	return leaves, classify(err)
}

// Trees lists the names of the log, oldest first; the one in use is the last.
func (db *DB) Trees(ctx context.Context) ([]publication.Tree, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			origin,
			key,
			begun,
			begun_at,
			ended_at
		FROM log_trees
		ORDER BY ended_at IS NULL, begun_at`)
	if err != nil {
		return nil, err
	}
	trees, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (publication.Tree, error) {
		var (
			t     publication.Tree
			ended *time.Time
		)
		err := row.Scan(
			&t.Origin,
			&t.Key,
			&t.Begun,
			&t.BegunAt,
			&ended,
		)
		t.BegunAt, t.EndedAt = t.BegunAt.UTC(), orZero(ended)
		return t, err
	})
	return trees, classify(err)
}

// FirstTree implements publication.Store.
func (db *DB) FirstTree(ctx context.Context, t publication.Tree) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			INSERT INTO log_trees (origin, key, begun, begun_at)
			SELECT @origin, @key, @begun, @at
			WHERE NOT EXISTS (SELECT FROM log_trees)
			ON CONFLICT DO NOTHING`,
			pgx.NamedArgs{"origin": t.Origin, "key": t.Key, "begun": t.Begun, "at": t.BegunAt})
		if err == nil && tag.RowsAffected() != 1 {
			return publication.ErrMoved
		}
		return err
	})
}

// SaveCheckpoint implements publication.Store.
func (db *DB) SaveCheckpoint(ctx context.Context, p publication.Published) (publication.Published, error) {
	tag, err := db.pool.Exec(ctx, `
		INSERT INTO log_checkpoints (origin, size, root, note, signed_at, witnessed_at)
		SELECT origin, @size, @root, @note, @signed, @witnessed
		FROM log_trees
		WHERE origin = @origin AND ended_at IS NULL
		ON CONFLICT DO NOTHING`, pgx.NamedArgs{
		"origin":    p.Origin,
		"size":      p.Size,
		"root":      p.Root[:],
		"note":      string(p.Note),
		"signed":    p.SignedAt,
		"witnessed": orNever(p.WitnessedAt),
	})
	if err != nil || tag.RowsAffected() == 1 {
		return p, err
	}
	kept, err := db.CheckpointAt(ctx, p.Origin, p.Size)
	switch {
	case errors.Is(err, policies.Refuse(policies.NotFound)):
		return p, publication.ErrMoved
	case err != nil:
		return p, err
	case kept.Root != p.Root:
		return p, publication.ErrSplit
	}
	return kept, nil
}

// SaveCosigned implements publication.Store.
func (db *DB) SaveCosigned(ctx context.Context, was []byte, p publication.Published) error {
	tag, err := db.pool.Exec(ctx, `
		UPDATE log_checkpoints
		SET
			note = @note,
			witnessed_at = coalesce(@witnessed, witnessed_at)
		WHERE origin = @origin AND size = @size AND root = @root AND note = @was`, pgx.NamedArgs{
		"origin":    p.Origin,
		"size":      p.Size,
		"root":      p.Root[:],
		"was":       string(was),
		"note":      string(p.Note),
		"witnessed": orNever(p.WitnessedAt),
	})
	if err == nil && tag.RowsAffected() != 1 {
		return publication.ErrMoved
	}
	return err
}

// SaveTimestamp implements publication.Store.
func (db *DB) SaveTimestamp(ctx context.Context, c audit.Checkpoint, token []byte) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE log_checkpoints
		SET timestamp = @token
		WHERE origin = @origin AND size = @size AND root = @root AND timestamp IS NULL`,
		pgx.NamedArgs{"origin": c.Origin, "size": c.Size, "root": c.Root[:], "token": token})
	return err
}

// ThinCheckpoints implements publication.Store. Of an hour the last witnessed
// one stays; of a log the largest of all.
func (db *DB) ThinCheckpoints(ctx context.Context, now time.Time) error {
	_, err := db.pool.Exec(ctx, `
		DELETE FROM log_checkpoints c
		WHERE signed_at < @before
			AND (origin, size) NOT IN (
				SELECT DISTINCT ON (origin, date_bin('1 hour', signed_at, 'epoch')) origin, size
				FROM log_checkpoints
				WHERE signed_at < @before
				ORDER BY origin, date_bin('1 hour', signed_at, 'epoch'), witnessed_at IS NULL, size DESC
			)
			AND size < (SELECT max(size) FROM log_checkpoints l WHERE l.origin = c.origin)`,
		pgx.NamedArgs{"before": now.Add(-24 * time.Hour)})
	return err
}

// orNever turns a time that may be zero into a nullable one.
func orNever(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// publishedColumns are what published scans.
const publishedColumns = `
	origin,
	size,
	root,
	note,
	signed_at,
	witnessed_at,
	timestamp`

func published(row pgx.CollectableRow) (publication.Published, error) {
	var (
		p         publication.Published
		root      []byte
		note      string
		witnessed *time.Time
	)
	err := row.Scan(
		&p.Origin,
		&p.Size,
		&root,
		&note,
		&p.SignedAt,
		&witnessed,
		&p.Timestamp,
	)
	copy(p.Root[:], root)
	p.Note, p.SignedAt, p.WitnessedAt = []byte(note), p.SignedAt.UTC(), orZero(witnessed)
	return p, err
}

// checkpoints runs what follows publishedColumns.
func (db *DB) checkpoints(ctx context.Context, where string, args pgx.NamedArgs) ([]publication.Published, error) {
	rows, err := db.pool.Query(ctx, `SELECT `+publishedColumns+` FROM log_checkpoints `+where, args)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, published)
	return found, classify(err)
}

func (db *DB) checkpoint(ctx context.Context, where string, args pgx.NamedArgs) (publication.Published, error) {
	found, err := db.checkpoints(ctx, where+` LIMIT 1`, args)
	switch {
	case err != nil:
		return publication.Published{}, err
	case len(found) == 0:
		return publication.Published{}, policies.Refuse(policies.NotFound)
	}
	return found[0], nil
}

// LastCheckpoint is the largest that was signed (policies.NotFound).
func (db *DB) LastCheckpoint(ctx context.Context, origin string) (publication.Published, error) {
	return db.checkpoint(ctx, `WHERE origin = @origin ORDER BY size DESC`, pgx.NamedArgs{"origin": origin})
}

// LastWitnessed is the largest with a quorum (policies.NotFound).
func (db *DB) LastWitnessed(ctx context.Context, origin string) (publication.Published, error) {
	return db.checkpoint(ctx, `WHERE origin = @origin AND witnessed_at IS NOT NULL ORDER BY size DESC`, pgx.NamedArgs{"origin": origin})
}

// CheckpointAt is the one of that size (policies.NotFound).
func (db *DB) CheckpointAt(ctx context.Context, origin string, size int64) (publication.Published, error) {
	return db.checkpoint(ctx, `WHERE origin = @origin AND size = @size`, pgx.NamedArgs{"origin": origin, "size": size})
}

// WitnessedWith is the smallest witnessed one that holds an entry
// (policies.NotFound): what the entry's receipt rests on.
func (db *DB) WitnessedWith(ctx context.Context, origin string, seq int64) (publication.Published, error) {
	return db.checkpoint(ctx, `WHERE origin = @origin AND size > @seq AND witnessed_at IS NOT NULL ORDER BY size`,
		pgx.NamedArgs{"origin": origin, "seq": seq})
}

// Checkpoints lists the newest, by size downwards.
func (db *DB) Checkpoints(ctx context.Context, origin string, limit int) ([]publication.Published, error) {
	return db.checkpoints(ctx, `WHERE origin = @origin ORDER BY size DESC LIMIT @limit`, pgx.NamedArgs{"origin": origin, "limit": limit})
}

// EachCheckpoint gives all of a name, by size upwards, for who verifies them.
func (db *DB) EachCheckpoint(ctx context.Context, origin string) iter.Seq2[publication.Published, error] {
	const portion = 500
	return func(yield func(publication.Published, error) bool) {
		for after := int64(-1); ; {
			found, err := db.checkpoints(ctx, `WHERE origin = @origin AND size > @after ORDER BY size LIMIT @portion`,
				pgx.NamedArgs{"origin": origin, "after": after, "portion": portion})
			if err != nil {
				yield(publication.Published{}, err)
				return
			}
			for _, p := range found {
				if !yield(p, nil) {
					return
				}
				after = p.Size
			}
			if len(found) < portion {
				return
			}
		}
	}
}

// Unstamped implements publication.Store.
func (db *DB) Unstamped(ctx context.Context, origin string, since time.Time, limit int) ([]publication.Published, error) {
	return db.checkpoints(ctx, `WHERE origin = @origin AND timestamp IS NULL AND signed_at >= @since ORDER BY size DESC LIMIT @limit`,
		pgx.NamedArgs{"origin": origin, "since": since, "limit": limit})
}

// Publication gathers what the tables say of publication. It is for a role that
// reads only, such as the auditors'.
func (db *DB) Publication(ctx context.Context) (publication.Facts, error) {
	const recent = 32
	var f publication.Facts
	head, err := db.LogHead(ctx)
	if err != nil {
		return f, err
	}
	f.Size, f.LastEntry = head.Size, head.Last.UTC()
	trees, err := db.Trees(ctx)
	if err != nil || len(trees) == 0 {
		return f, err
	}
	f.Tree = trees[len(trees)-1]
	if f.Recent, err = db.Checkpoints(ctx, f.Tree.Origin, recent); err != nil {
		return f, err
	}
	f.Witnessed, err = db.LastWitnessed(ctx, f.Tree.Origin)
	if errors.Is(err, policies.Refuse(policies.NotFound)) {
		return f, nil
	}
	return f, err
}
