package store

import (
	"context"
	"fmt"
	"log/slog"

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
}

// Kind implements river.JobArgs.
func (Notice) Kind() string { return "notice" }

// notify enqueues a mail in the transaction of what it tells of, if it is to be
// told.
func (db *DB) notify(ctx context.Context, tx pgx.Tx, n signer.Notice) error {
	if n.Kind == "" {
		return nil
	}
	args := Notice{Template: n.Kind, CitizenID: n.CitizenID, RequestID: n.RequestID}
	if _, err := db.jobs.InsertTx(ctx, tx, args, nil); err != nil {
		return fmt.Errorf("enqueueing a notice: %w", err)
	}
	return nil
}

// Deliver hands notices to deliver, each until it succeeds or River's retries
// are used up, until ctx ends.
func (db *DB) Deliver(ctx context.Context, logger *slog.Logger, deliver func(context.Context, signer.Notice) error) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &noticeWorker{deliver: deliver})
	client, err := river.NewClient(riverpgxv5.New(db.pool.Pool), &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}},
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
	return w.deliver(ctx, signer.Notice{Kind: job.Args.Template, CitizenID: job.Args.CitizenID, RequestID: job.Args.RequestID})
}
