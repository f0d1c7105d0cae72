package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// LastSettings is the hash of the settings that the last start was with, empty
// if there was none or it did not say.
func (db *DB) LastSettings(ctx context.Context) (string, error) {
	var sum string
	err := db.pool.QueryRow(ctx, `
		SELECT coalesce(convert_from(payload, 'UTF8')::jsonb ->> 'settings_sha256', '')
		FROM log_entries
		WHERE type = 'service.started'
		ORDER BY seq DESC
		LIMIT 1`).Scan(&sum)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return sum, err
}
