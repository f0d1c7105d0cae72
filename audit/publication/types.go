package publication

import (
	"context"
	"crypto"
	"errors"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
)

// Tree is a name under which the log is published. One is in use; another
// begins when entries were lost that a witness had seen.
type Tree struct {
	Origin  string
	Key     string // verifier key (C2SP signed-note)
	Begun   int64  // size of the log when the name was taken
	BegunAt time.Time
	EndedAt time.Time // zero for the one in use
}

// Published is a checkpoint as it is kept.
type Published struct {
	audit.Checkpoint

	// Note is the signed note: the log's signature, then cosignatures.
	Note        []byte
	SignedAt    time.Time
	WitnessedAt time.Time // zero until the quorum was there
	Timestamp   []byte    // RFC 3161 token over the note as the log signed it; nil until there is one
}

// Errors of what the database holds.
var (
	// ErrHeld means that another Publisher, or a recovery, is at work.
	ErrHeld = errors.New("another process is publishing the log")
	// ErrSplit means that a checkpoint of this size and another root was signed.
	ErrSplit = errors.New("another checkpoint of the same size was signed before")
	// ErrMoved means that the log is not as it was read, or its name has ended.
	ErrMoved = errors.New("the log or its name has changed in the meantime")
)

// Reader is the log as it stands. What is not there is policies.NotFound.
type Reader interface {
	audit.HashReader
	// LogHead reads size and edge in one statement.
	LogHead(ctx context.Context) (audit.Head, error)
	// Trees lists the names, oldest first.
	Trees(ctx context.Context) ([]Tree, error)
	// LastCheckpoint is the largest that was signed.
	LastCheckpoint(ctx context.Context, origin string) (Published, error)
}

// Store is what a Publisher works on.
type Store interface {
	Reader
	// FirstTree takes the first name (ErrMoved if there is one).
	FirstTree(ctx context.Context, t Tree) error
	// SaveCheckpoint keeps a checkpoint, or gives the one that was kept before
	// (ErrSplit, ErrMoved).
	SaveCheckpoint(ctx context.Context, p Published) (Published, error)
	CheckpointAt(ctx context.Context, origin string, size int64) (Published, error)
	// SaveCosigned replaces a note by one with more or later cosignatures
	// (ErrMoved if it is no longer that one).
	SaveCosigned(ctx context.Context, was []byte, p Published) error
	// SaveTimestamp keeps the first token of a checkpoint.
	SaveTimestamp(ctx context.Context, c audit.Checkpoint, token []byte) error
	// Unstamped lists checkpoints without a token, newest first.
	Unstamped(ctx context.Context, origin string, since time.Time, limit int) ([]Published, error)
	// ThinCheckpoints forgets those that are older than a day, but for one an hour.
	ThinCheckpoints(ctx context.Context, now time.Time) error
	// Lead makes the caller the only Publisher (ErrHeld).
	Lead(ctx context.Context) (Lease, error)
}

// Lease is held by who publishes, on a connection of its own.
type Lease interface {
	// Wait returns nil after that time, or as soon as somebody asks for a
	// checkpoint; an error means that the lease is lost.
	Wait(ctx context.Context, atMost time.Duration) error
	Close()
}

// Stamper gives time-stamps that may be relied on (RFC 3161).
type Stamper interface {
	TimeStamp(ctx context.Context, hash crypto.Hash, digest []byte) (token []byte, err error)
}
