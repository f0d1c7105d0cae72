package validation

import (
	"context"
	"time"
)

// pollEvery leaves room for three polls that fail before memory falls silent.
const pollEvery = 200 * time.Millisecond

// Follow reads the feed until it is told to stop.
func (d *Desk) Follow(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	failing := false
	for {
		err := d.poll(ctx)
		if ctx.Err() != nil {
			return
		}
		if failed := err != nil; failed != failing { // said once, not five times a second
			failing = failed
			if failed {
				d.Logger.ErrorContext(ctx, "feed of certificates unreachable", "error", err)
			} else {
				d.Logger.InfoContext(ctx, "feed of certificates back")
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// poll reads what is new in the feed. Its time is that of before the read: what
// was committed while the database looked may not be in it.
func (d *Desk) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, trust)
	defer cancel()
	began := d.Now()
	position, known := d.memory.place(began)
	if !known {
		// Meanwhile the database may be another one, whose feed goes on from
		// elsewhere under the same numbers.
		last, err := d.Feed.LastCertificateChange(ctx)
		if err != nil {
			return err
		}
		d.memory.restart(last, began)
		return nil
	}
	for {
		began = d.Now()
		changes, err := d.Feed.CertificateChanges(ctx, position)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			d.memory.vouch(began)
			return nil
		}
		d.memory.forget(changes)
		position = changes[len(changes)-1].Seq
	}
}
