package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNewerDatabase means that a newer Rúbrica has migrated this database.
var ErrNewerDatabase = errors.New("the database was made by a newer version of Rúbrica: start that version, or restore a backup made before the upgrade")

// Migrate brings the database up to this version, as its owner. Running it
// again changes nothing.
func Migrate(ctx context.Context, ownerURL string) error {
	pool, err := pgxpool.New(ctx, ownerURL)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer pool.Close()

	if err := migrateSchema(ctx, pool); err != nil {
		return err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return fmt.Errorf("preparing the job tables: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrating the job tables: %w", err)
	}
	return grantJobs(ctx, pool)
}

func migrateSchema(ctx context.Context, pool *pgxpool.Pool) error {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close() //nolint:errcheck // closes no connection of its own
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files)
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the database's version: %w", err)
	}
	if current > target {
		return ErrNewerDatabase
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	return nil
}

// grantJobs lets both roles enqueue and work: the public side mails, the signer
// sends SMS. The tables are River's, made by its own migrations, so their grants
// cannot stand in ours.
func grantJobs(ctx context.Context, pool *pgxpool.Pool) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			DO $$
			DECLARE t text;
			BEGIN
				FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'river\_%' LOOP
					EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO rubrica_api, rubrica_signer', t);
				END LOOP;
				GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO rubrica_api, rubrica_signer;
			END
			$$`)
		if err != nil {
			return fmt.Errorf("granting the job tables: %w", err)
		}
		return nil
	})
}
