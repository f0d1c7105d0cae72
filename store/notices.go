package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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
	// Of a change: what is written to as well.
	Former string `json:"former,omitempty"`
	// Of a reminder.
	Days int       `json:"days,omitempty"`
	Ends time.Time `json:"ends,omitzero"`
}

func jobOf(n signer.Notice) Notice {
	return Notice{Template: n.Kind, CitizenID: n.CitizenID, RequestID: n.RequestID, Former: n.Former, Days: n.Days, Ends: n.Ends}
}

func (n Notice) notice() signer.Notice {
	return signer.Notice{Kind: n.Template, CitizenID: n.CitizenID, RequestID: n.RequestID, Former: n.Former, Days: n.Days, Ends: n.Ends}
}

// Kind implements river.JobArgs.
func (Notice) Kind() string { return "notice" }

// notify enqueues what is to be told, in the transaction of what it tells of:
// mails, and messages for the signer to send.
func (db *DB) notify(ctx context.Context, tx pgx.Tx, n signer.Notice) error {
	if n.Kind == "" {
		return nil
	}
	mail, text := n.Ways(n.Wanted)
	jobs := []river.InsertManyParams{}
	if mail {
		present := jobOf(n)
		present.Former = ""
		jobs = append(jobs, river.InsertManyParams{Args: present})
	}
	if strings.Contains(n.Former, "@") {
		jobs = append(jobs, river.InsertManyParams{Args: jobOf(n)})
	}
	if text {
		jobs = append(jobs, river.InsertManyParams{Args: Text{jobOf(n)}, InsertOpts: &river.InsertOpts{Queue: textQueue}})
	}
	if len(jobs) == 0 {
		return nil
	}
	if _, err := db.jobs.InsertManyTx(ctx, tx, jobs); err != nil {
		return fmt.Errorf("enqueueing a notice: %w", err)
	}
	return nil
}

// Duties are what the public side does in jobs.
type Duties struct {
	// Deliver writes to a citizen.
	Deliver func(context.Context, signer.Notice) error
	// Augment brings a request's signatures to the levels that were asked for.
	Augment func(ctx context.Context, requestID string) error
	// Settle goes on with an envelope after something became of its requests.
	Settle func(ctx context.Context, envelopeID string) error
}

// Work does the public side's jobs, each until it succeeds or River's retries
// are used up, until ctx ends.
func (db *DB) Work(ctx context.Context, logger *slog.Logger, d Duties) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &noticeWorker{deliver: d.Deliver})
	river.AddWorker(workers, &augmentationWorker{augment: d.Augment})
	river.AddWorker(workers, &envelopeWorker{settle: d.Settle})
	return db.work(ctx, workers, river.QueueDefault, few(), logger)
}

// few are as many as most queues have at once.
func few() river.QueueConfig { return river.QueueConfig{MaxWorkers: 4} }

func (db *DB) work(ctx context.Context, workers *river.Workers, queue string, limits river.QueueConfig, logger *slog.Logger) error {
	knowAll(workers)
	client, err := river.NewClient(riverpgxv5.New(db.pool.Pool), &river.Config{
		Queues:  map[string]river.QueueConfig{queue: limits},
		Workers: workers,
		Logger:  logger,
		// River's own hour is long for somebody who waits for a level.
		JobTimeout: jobTime, RescueStuckJobsAfter: stuck,
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

// elsewhere stands for the worker of jobs that another process does.
type elsewhere[T river.JobArgs] struct{ river.WorkerDefaults[T] }

// Work implements river.Worker. No queue that is worked here has such jobs.
func (elsewhere[T]) Work(context.Context, *river.Job[T]) error { return errElsewhere }

var errElsewhere = errors.New("the job is another process's")

// knowAll makes every kind of job known to workers that do some of them. One of
// all clients is River's leader and looks after the jobs of processes that died:
// it would discard those of a kind that it has never heard of.
func knowAll(workers *river.Workers) {
	know[Notice](workers)
	know[Augmentation](workers)
	know[Text](workers)
	know[WebhookJob](workers)
	know[EnvelopeJob](workers)
}

func know[T river.JobArgs](workers *river.Workers) {
	_ = river.AddWorkerSafely(workers, elsewhere[T]{}) // an error means that it is done here
}

type noticeWorker struct {
	river.WorkerDefaults[Notice]
	deliver func(context.Context, signer.Notice) error
}

// Work implements river.Worker.
func (w *noticeWorker) Work(ctx context.Context, job *river.Job[Notice]) error {
	return w.deliver(ctx, job.Args.notice())
}

// Augmentation is the job that brings a request's signatures to the levels that
// were asked for.
type Augmentation struct {
	RequestID string `json:"request_id"`
}

// Kind implements river.JobArgs.
func (Augmentation) Kind() string { return "augmentation" }

// A job has jobTime; one of a process that was killed is another's after stuck.
const (
	jobTime = 5 * time.Minute
	stuck   = 6 * time.Minute
)

// augmentationDelay leaves the first try to who is waiting for the result.
const augmentationDelay = 10 * time.Second

// augmentLater enqueues an augmentation in the transaction of its signatures.
func (db *DB) augmentLater(ctx context.Context, tx pgx.Tx, requestID string, now time.Time) error {
	_, err := db.jobs.InsertTx(ctx, tx, Augmentation{RequestID: requestID}, &river.InsertOpts{ScheduledAt: now.Add(augmentationDelay)})
	if err != nil {
		return fmt.Errorf("enqueueing an augmentation: %w", err)
	}
	return nil
}

type augmentationWorker struct {
	river.WorkerDefaults[Augmentation]
	augment func(ctx context.Context, requestID string) error
}

// Work implements river.Worker.
func (w *augmentationWorker) Work(ctx context.Context, job *river.Job[Augmentation]) error {
	return w.augment(ctx, job.Args.RequestID)
}
