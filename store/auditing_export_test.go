package store

import "context"

// TotalOnce counts one portion, and says whether there is more.
func TotalOnce(ctx context.Context, db *DB) (more bool, err error) { return db.total(ctx) }
