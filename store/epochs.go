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

// Epoch is one secret key of the token.
type Epoch struct {
	Kind        signer.Secret
	Epoch       int
	CheckValue  []byte
	CreatedAt   time.Time
	DestroyedAt time.Time // zero while the token has it
}

// EpochInUse is a secret key with the number of records that need it.
type EpochInUse struct {
	Epoch
	Uses int
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

// KeyEpochs lists the secret keys, by kind and age.
func (db *DB) KeyEpochs(ctx context.Context) ([]Epoch, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT
			kind,
			epoch,
			check_value,
			created_at,
			destroyed_at
		FROM key_epochs
		ORDER BY kind, epoch`)
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
		)
		e.DestroyedAt = orZero(destroyed)
		return e, err
	})
}

// EpochsInUse counts what depends on each secret key. It reads every record:
// for an operator to ask, not for a ceremony.
func (db *DB) EpochsInUse(ctx context.Context) ([]EpochInUse, error) {
	epochs, err := db.KeyEpochs(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]EpochInUse, len(epochs))
	for i, e := range epochs {
		out[i].Epoch = e
		sql := map[signer.Secret]string{
			signer.KEK: `
				SELECT count(*) FROM credentials WHERE kek_epoch = @epoch AND keeper = 'sealed' AND state = 'usable'`,
			signer.Pepper: `
				SELECT (SELECT count(*) FROM credentials WHERE pepper_epoch = @epoch AND state <> 'destroyed')
					+ (SELECT count(*) FROM activations WHERE pepper_epoch = @epoch)
					+ (SELECT count(*) FROM challenges WHERE pepper_epoch = @epoch AND state IN ('prepared', 'sent'))
					+ (SELECT count(*) FROM pins WHERE pepper_epoch = @epoch AND state IN ('prepared', 'sent', 'failed'))
					+ (SELECT count(*) FROM letters WHERE pepper_epoch = @epoch AND state = 'printed')
					+ (SELECT count(*) FROM cards WHERE pepper_epoch = @epoch OR key_epoch = @epoch)`,
			signer.SealKey: `
				SELECT (SELECT count(*) FROM citizens WHERE seal_epoch = @epoch)
					+ (SELECT count(*) FROM tickets WHERE seal_epoch = @epoch AND spent_at IS NULL)
					+ (SELECT count(*) FROM applications WHERE seal_epoch = @epoch)
					+ (SELECT count(*) FROM letters WHERE seal_epoch = @epoch AND state IN ('requested', 'printed'))
					+ (SELECT count(*) FROM cards WHERE seal_epoch = @epoch)`,
		}[e.Kind]
		if err := db.pool.QueryRow(ctx, sql, pgx.NamedArgs{"epoch": e.Epoch}).Scan(&out[i].Uses); err != nil {
			return nil, err
		}
	}
	return out, nil
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

// ErrNoEpoch is a key that there never was.
var ErrNoEpoch = errors.New("there is no such key")

// Adoption is how long signers that run may go on with the epochs that they
// know before a newer one.
const Adoption = time.Minute

// EndEpoch records that a key is about to be destroyed: it must have been
// followed by a newer one for as long as Adoption, and nothing may need it.
func (db *DB) EndEpoch(ctx context.Context, kind signer.Secret, epoch int, entry audit.Entry) error {
	epochs, err := db.EpochsInUse(ctx)
	if err != nil {
		return err
	}
	var old *EpochInUse
	var newest Epoch
	for i, e := range epochs {
		if e.Kind != kind {
			continue
		}
		newest = e.Epoch
		if e.Epoch.Epoch == epoch {
			old = &epochs[i]
		}
	}
	switch {
	case old == nil:
		return fmt.Errorf("%w: %s", ErrNoEpoch, kind.Label(epoch))
	case !old.DestroyedAt.IsZero():
		return nil // the token may still have to follow
	case old.Uses > 0:
		return fmt.Errorf("%w: %d records need %s", ErrEpochInUse, old.Uses, kind.Label(epoch))
	case epoch == newest.Epoch:
		return fmt.Errorf("%w: %s is the newest of its kind", ErrEpochInUse, kind.Label(epoch))
	}
	if entry.At.Sub(newest.CreatedAt) < Adoption {
		return fmt.Errorf("%w: signers may not know of %s yet, wait a minute", ErrEpochInUse, kind.Label(newest.Epoch))
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

// SealedUnder lists the citizens whose records are sealed under an epoch, 0 for
// those that an older version wrote and nobody has sealed yet.
func (db *DB) SealedUnder(ctx context.Context, epoch int) ([]string, error) {
	rows, err := db.pool.Query(ctx, `SELECT id FROM citizens WHERE seal_epoch = @epoch`, pgx.NamedArgs{"epoch": epoch})
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
