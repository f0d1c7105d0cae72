package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/signer"
)

// Epoch is one secret key of the token, and how much still depends on it.
type Epoch struct {
	Kind        signer.Secret
	Epoch       int
	CheckValue  []byte
	CreatedAt   time.Time
	DestroyedAt time.Time // zero while the token has it
	Uses        int       // rows that need it
}

// Epochs implements signer.Store.
func (db *DB) Epochs(ctx context.Context) (signer.Epochs, error) {
	var e signer.Epochs
	err := db.pool.QueryRow(ctx, `
		SELECT
			coalesce((SELECT max(epoch) FROM key_epochs WHERE kind = 'kek'), 0),
			coalesce((SELECT max(epoch) FROM key_epochs WHERE kind = 'pepper'), 0),
			coalesce((SELECT max(epoch) FROM key_epochs WHERE kind = 'seal'), 0),
			keeper
		FROM key_keeper`).Scan(
		&e.KEK,
		&e.Pepper,
		&e.Seal,
		&e.Keeper,
	)
	return e, err
}

// KeyEpochs lists the secret keys with what depends on each.
func (db *DB) KeyEpochs(ctx context.Context) ([]Epoch, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			e.kind,
			e.epoch,
			e.check_value,
			e.created_at,
			e.destroyed_at,
			CASE e.kind
				WHEN 'kek' THEN (SELECT count(*) FROM credentials k
					WHERE k.kek_epoch = e.epoch AND k.keeper = 'sealed' AND k.state = 'usable')
				WHEN 'pepper' THEN (SELECT count(*) FROM credentials k WHERE k.pepper_epoch = e.epoch AND k.state <> 'destroyed')
					+ (SELECT count(*) FROM activations a WHERE a.pepper_epoch = e.epoch)
					+ (SELECT count(*) FROM challenges c WHERE c.pepper_epoch = e.epoch AND c.state IN ('prepared', 'sent'))
				ELSE (SELECT count(*) FROM citizens c WHERE c.seal_epoch = e.epoch)
					+ (SELECT count(*) FROM tickets t WHERE t.seal_epoch = e.epoch)
					+ (SELECT count(*) FROM applications a WHERE a.seal_epoch = e.epoch)
			END
		FROM key_epochs e
		ORDER BY e.kind, e.epoch`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Epoch, error) {
		var (
			e         Epoch
			destroyed *time.Time
		)
		err := row.Scan(
			&e.Kind,
			&e.Epoch,
			&e.CheckValue,
			&e.CreatedAt,
			&destroyed,
			&e.Uses,
		)
		e.DestroyedAt = orZero(destroyed)
		return e, err
	})
}

// KeysOfKeepers counts the keys that can sign by who keeps them.
func (db *DB) KeysOfKeepers(ctx context.Context) (map[signer.KeeperName]int, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT keeper, count(*)
		FROM credentials
		WHERE state = 'usable'
		GROUP BY keeper`)
	if err != nil {
		return nil, err
	}
	out := map[signer.KeeperName]int{}
	var (
		keeper signer.KeeperName
		n      int
	)
	_, err = pgx.ForEachRow(rows, []any{&keeper, &n}, func() error {
		out[keeper] = n
		return nil
	})
	return out, err
}

// BeginEpoch makes a key that the token has got the one for new work.
func (db *DB) BeginEpoch(ctx context.Context, e Epoch, entry audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := insertEpoch(ctx, tx, e, entry.At); err != nil {
			return err
		}
		return db.record(ctx, tx, entry)
	})
}

func insertEpoch(ctx context.Context, tx pgx.Tx, e Epoch, at time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO key_epochs (kind, epoch, check_value, created_at)
		VALUES (@kind, @epoch, @value, @now)`,
		pgx.NamedArgs{"kind": e.Kind, "epoch": e.Epoch, "value": e.CheckValue, "now": at})
	return err
}

// ErrEpochInUse is a key that must not be destroyed yet.
var ErrEpochInUse = errors.New("key still in use")

// EndEpoch records that a key is about to be destroyed: it must be followed by
// a newer one, and nothing may need it any more.
func (db *DB) EndEpoch(ctx context.Context, kind signer.Secret, epoch int, entry audit.Entry) error {
	epochs, err := db.KeyEpochs(ctx)
	if err != nil {
		return err
	}
	newest := 0
	for _, e := range epochs {
		if e.Kind != kind {
			continue
		}
		newest = e.Epoch
		if e.Epoch == epoch && e.Uses > 0 {
			return fmt.Errorf("%w: %d records need %s", ErrEpochInUse, e.Uses, kind.Label(epoch))
		}
	}
	if epoch >= newest {
		return fmt.Errorf("%w: %s is the newest of its kind", ErrEpochInUse, kind.Label(epoch))
	}
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE key_epochs
			SET destroyed_at = @now
			WHERE kind = @kind AND epoch = @epoch AND destroyed_at IS NULL`,
			pgx.NamedArgs{"kind": kind, "epoch": epoch, "now": entry.At}); err != nil {
			return err
		}
		return db.record(ctx, tx, entry)
	})
}

// SetKeeper changes where new keys are kept.
func (db *DB) SetKeeper(ctx context.Context, keeper signer.KeeperName, entry audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE key_keeper
			SET keeper = @keeper, since = @now`, pgx.NamedArgs{"keeper": keeper, "now": entry.At}); err != nil {
			return err
		}
		return db.record(ctx, tx, entry)
	})
}

// Unsealed lists the citizens whose records nobody has sealed yet: those that
// an older version wrote.
func (db *DB) Unsealed(ctx context.Context) ([]string, error) {
	rows, err := db.pool.Query(ctx, `SELECT id FROM citizens WHERE seal_epoch = 0`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// SealRecord seals a record as it stands.
func (db *DB) SealRecord(ctx context.Context, c signer.Change) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := apply(ctx, tx, c); err != nil {
			return err
		}
		return db.record(ctx, tx, c.Entry)
	})
}
