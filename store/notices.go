package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/rubrica-firma/rubrica/signer"
)

// Notice is the job that mails a citizen. It holds no secret: job arguments
// lie in a table as JSON.
type Notice struct {
	Template  string `json:"template"`
	CitizenID string `json:"citizen_id"`
	RequestID string `json:"request_id,omitempty"`
	// Of a reminder.
	Days int       `json:"days,omitempty"`
	Ends time.Time `json:"ends,omitzero"`
}

func jobOf(n signer.Notice) Notice {
	return Notice{Template: n.Kind, CitizenID: n.CitizenID, RequestID: n.RequestID, Days: n.Days, Ends: n.Ends}
}

func (n Notice) notice() signer.Notice {
	return signer.Notice{Kind: n.Template, CitizenID: n.CitizenID, RequestID: n.RequestID, Days: n.Days, Ends: n.Ends}
}

// Kind implements river.JobArgs.
func (Notice) Kind() string { return "notice" }

// notify enqueues a mail in the transaction of what it tells of, if it is to be
// told.
func (db *DB) notify(ctx context.Context, tx pgx.Tx, n signer.Notice) error {
	if n.Kind == "" {
		return nil
	}
	if _, err := db.jobs.InsertTx(ctx, tx, jobOf(n), nil); err != nil {
		return fmt.Errorf("enqueueing a notice: %w", err)
	}
	return nil
}

// Deliver hands notices to deliver, each until it succeeds or River's retries
// are used up, until ctx ends.
func (db *DB) Deliver(ctx context.Context, logger *slog.Logger, deliver func(context.Context, signer.Notice) error) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &noticeWorker{deliver: deliver})
	return db.work(ctx, workers, river.QueueDefault, logger)
}

func (db *DB) work(ctx context.Context, workers *river.Workers, queue string, logger *slog.Logger) error {
	client, err := river.NewClient(riverpgxv5.New(db.pool.Pool), &river.Config{
		Queues:  map[string]river.QueueConfig{queue: {MaxWorkers: 4}},
		Workers: workers,
		Logger:  logger,
	})
	if err != nil {
		return fmt.Errorf("opening the job queue: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("working the job queue: %w", err)
	}
	<-client.Stopped()
	return nil
}

type noticeWorker struct {
	river.WorkerDefaults[Notice]
	deliver func(context.Context, signer.Notice) error
}

// Work implements river.Worker.
func (w *noticeWorker) Work(ctx context.Context, job *river.Job[Notice]) error {
	return w.deliver(ctx, job.Args.notice())
}
