package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Remindable implements signer.Store. Whoever has been told is left out; the
// most pressing come first. The days are counted as the rules do; what they
// make of a citizen has the last word.
func (db *DB) Remindable(ctx context.Context, now time.Time, rules policies.Rules, limit int) ([]string, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT citizen_id
		FROM (
			SELECT k.citizen_id, z.not_after AS ends, 'certificate_expires' AS kind, @certificate::integer[] AS thresholds
			FROM certificates z
			JOIN credentials k ON k.id = z.credential_id AND k.state = 'usable'
			WHERE z.state = 'issued' AND z.not_after > @now AND z.not_after <= @now + make_interval(days => @far + 1)
				AND (z.revoked_at IS NULL OR z.reason = 6) -- certificateHold: with a parameter the index would not do
				AND NOT EXISTS (SELECT FROM certificates n WHERE n.credential_id = k.id AND n.state = 'issued' AND n.not_before > z.not_before)
			UNION ALL
			SELECT
				g.citizen_id,
				(g.assured_at AT TIME ZONE @zone + make_interval(years => @years)) AT TIME ZONE @zone,
				'registration_ages',
				@registration::integer[]
			FROM registrations g
			WHERE g.level = 'advanced' AND g.mode = ANY(@modes)
				AND g.assured_at > @now - make_interval(years => @years, days => 1)
				AND g.assured_at <= @now - make_interval(years => @years) + make_interval(days => @farther + 2)
				AND NOT EXISTS (SELECT FROM registrations n WHERE n.citizen_id = g.citizen_id AND (n.assured_at, n.id) > (g.assured_at, g.id))
		) e
		CROSS JOIN LATERAL (
			SELECT min(d) AS days
			FROM unnest(thresholds) AS d
			WHERE @now >= ((e.ends AT TIME ZONE @zone)::date - d)::timestamp AT TIME ZONE @zone
		) t
		WHERE e.ends > @now AND t.days IS NOT NULL
			AND EXISTS (SELECT FROM citizens c WHERE c.id = e.citizen_id AND c.status = 'active')
			AND NOT EXISTS (
				SELECT FROM reminders r
				WHERE r.citizen_id = e.citizen_id
					AND r.key = format('%s/%s/%s', kind, to_char(e.ends AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), t.days)
			)
		GROUP BY citizen_id
		ORDER BY min(e.ends)
		LIMIT @limit`, pgx.NamedArgs{
		"now":          now,
		"certificate":  rules.CertificateReminders,
		"far":          furthest(rules.CertificateReminders),
		"registration": rules.RegistrationReminders,
		"farther":      furthest(rules.RegistrationReminders),
		"years":        rules.RegistrationYears,
		"modes":        rules.CertifiableModes(),
		"zone":         cmp.Or(rules.Zone, time.UTC).String(),
		"limit":        limit,
	})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func furthest(days []int) int {
	far := 0
	for _, d := range days {
		far = max(far, d)
	}
	return far
}

// Remind implements signer.Store: the key is the reminder's for good, so that
// it is enqueued once however often it is asked for.
func (db *DB) Remind(ctx context.Context, r signer.Reminding, e audit.Entry) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		fresh := false
		for _, key := range append(r.Covers(), r.Key()) {
			tag, err := tx.Exec(ctx, `
				INSERT INTO reminders (citizen_id, key, at)
				VALUES (@citizen, @key, @now)
				ON CONFLICT DO NOTHING`, pgx.NamedArgs{"citizen": r.CitizenID, "key": key, "now": e.At})
			if err != nil {
				return err
			}
			fresh = tag.RowsAffected() == 1 // the last one is the reminder's own
		}
		if !fresh {
			return nil
		}
		n := signer.Notice{Kind: string(r.Kind), CitizenID: r.CitizenID, Days: r.Days, Ends: r.Ends}
		if err := db.notify(ctx, tx, n); err != nil {
			return err
		}
		_, err := db.jobs.InsertTx(ctx, tx, Text{jobOf(n)}, &river.InsertOpts{Queue: textQueue, ScheduledAt: r.Text})
		if err != nil {
			return fmt.Errorf("enqueueing an SMS: %w", err)
		}
		return db.record(ctx, tx, e)
	})
}

// textQueue is worked by the signer: it alone knows the operator's gateway.
const textQueue = "sms"

// Text is the job that sends a reminder by SMS. Like Notice it holds no secret;
// whom it goes to is read when it is sent.
type Text struct{ Notice }

// Kind implements river.JobArgs.
func (Text) Kind() string { return "text" }

// DeliverTexts hands reminders to deliver, each until it succeeds or River's
// retries are used up, until ctx ends. A *signer.LaterError puts one off.
func (db *DB) DeliverTexts(ctx context.Context, logger *slog.Logger, deliver func(context.Context, signer.Notice) error) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &textWorker{deliver: deliver, now: db.Now})
	return db.work(ctx, workers, textQueue, few(), logger)
}

type textWorker struct {
	river.WorkerDefaults[Text]
	deliver func(context.Context, signer.Notice) error
	now     func() time.Time
}

// Work implements river.Worker. That it is night counts as no attempt.
func (w *textWorker) Work(ctx context.Context, job *river.Job[Text]) error {
	err := w.deliver(ctx, job.Args.notice())
	if later, ok := errors.AsType[*signer.LaterError](err); ok {
		return river.JobSnooze(max(0, later.At.Sub(w.now())))
	}
	return err
}
