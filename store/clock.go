package store

import (
	"context"
	"time"
)

// Time is what the database's clock shows.
func (db *DB) Time(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := db.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
	return now.UTC(), err
}

// LastEntry is the time of the log's last entry, zero if there is none.
func (db *DB) LastEntry(ctx context.Context) (time.Time, error) {
	head, err := readHead(ctx, db.pool, "")
	return head.Last, err
}
