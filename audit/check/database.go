package check

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
)

// Stored is the database that holds the log.
type Stored interface {
	// Snapshot reads the log in one transaction.
	Snapshot(ctx context.Context, read func(audit.Log) error) error
	// Trees lists the names of the log, oldest first; the last one is in use.
	Trees(ctx context.Context) ([]publication.Tree, error)
	// EachCheckpoint gives those that were kept under a name, by size upwards.
	EachCheckpoint(ctx context.Context, origin string) iter.Seq2[publication.Published, error]
}

// Database verifies the log where it is written: every row, and every checkpoint
// that was ever kept. Whoever can write the database can write both; the known
// checkpoint, kept elsewhere, cannot be.
func (c Checker) Database(ctx context.Context, name string, db Stored) (*Report, error) {
	r := &Report{Name: name, Kind: Database}
	known, err := c.published(ctx, r, db)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoints: %w", err)
	}
	var found audit.Report
	err = db.Snapshot(ctx, func(log audit.Log) error {
		head, err := log.Head(ctx)
		if err != nil {
			return fmt.Errorf("reading the head of the log: %w", err)
		}
		found, err = audit.Verify(ctx, counted{log, c, head.Size}, known...)
		return err
	})
	var corruption *audit.CorruptionError
	switch {
	case errors.As(err, &corruption):
		until := corruption.Seq
		if corruption.From == corruption.Seq {
			until++
		}
		r.broken(corruption.From, until, "%s", corruption.Reason)
		return r.conclude(), nil
	case err != nil:
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	r.Entries = Entries{Checked: found.Size, Opened: found.Size - found.Erased, Erased: found.Erased}
	r.checked("the %d entries are what they commit to, in this order, and make the tree that is stored", found.Size)
	r.checked("the log grew through all of its checkpoints of which %d were kept", len(known))
	if n := len(found.Unexplained); n > 0 {
		r.doubt("%d entries were erased, and no entry says so: the first is %d", n, found.Unexplained[0])
	}
	if r.Known != nil {
		r.Known.Consistent = true
		r.checked("the log begins with the %d entries that were known", r.Known.Size)
	}
	if r.Checkpoint != nil && r.Checkpoint.Size < found.Size {
		r.note("the last %d entries are in no witnessed checkpoint yet", found.Size-r.Checkpoint.Size)
	}
	return r.conclude(), nil
}

// published verifies the checkpoints that were kept, and is the trees that the
// log must have had.
func (c Checker) published(ctx context.Context, r *Report, db Stored) ([]audit.Tree, error) {
	if len(c.Policy.Logs()) == 0 {
		r.doubt("no policy was given that names a log: its checkpoints were not verified")
		return nil, nil
	}
	trees, err := db.Trees(ctx)
	if err != nil {
		return nil, err
	}
	var known []audit.Tree
	for i, t := range trees {
		// A name ends when entries were lost: beyond them the log became another.
		until := int64(math.MaxInt64)
		if i+1 < len(trees) {
			until = trees[i+1].Begun
		}
		of, err := c.under(ctx, r, db, t.Origin)
		if err != nil {
			return nil, err
		}
		for _, tree := range of {
			if tree.Size <= until {
				known = append(known, tree)
			}
		}
	}
	if len(c.Known) == 0 {
		return known, nil
	}
	kept, err := c.Policy.Open(c.Known)
	if err != nil && !errors.Is(err, audit.ErrUnwitnessed) {
		r.wrong("known checkpoint: %v", err)
		return known, nil
	}
	r.Known = &Known{Size: kept.Size}
	return append(known, kept.Tree), nil
}

// under verifies the checkpoints of one name.
func (c Checker) under(ctx context.Context, r *Report, db Stored, origin string) (trees []audit.Tree, err error) {
	var last audit.Signed // the last one witnessed
	var token []byte
	for p, err := range db.EachCheckpoint(ctx, origin) {
		if err != nil {
			return nil, err
		}
		signed, err := c.Policy.Open(p.Note)
		switch {
		case errors.Is(err, audit.ErrUnwitnessed):
		case err != nil:
			r.wrong("checkpoint of %d entries: %v", p.Size, err)
			return trees, nil
		default:
			last, token = signed, p.Timestamp
		}
		if signed.Checkpoint != p.Checkpoint {
			r.wrong("checkpoint of %d entries: its row is not what was signed", p.Size)
			return trees, nil
		}
		if len(p.Timestamp) > 0 {
			if _, _, err := readStamp(p.Timestamp, signed.LogSigned, c.Authorities); err != nil {
				r.wrong("time-stamp of the checkpoint of %d entries: %v", p.Size, err)
				return trees, nil
			}
		}
		trees = append(trees, p.Tree)
	}
	r.checked("%s signed %d checkpoints", origin, len(trees))
	if last.Note == nil {
		r.doubt("no checkpoint of %s has the witnesses that the policy asks for", origin)
		return trees, nil
	}
	r.Checkpoint = describe(last)
	c.stamp(r, token, last.LogSigned)
	return trees, nil
}

// counted tells how far the reading of a log is.
type counted struct {
	audit.Log

	checker Checker
	size    int64
}

// Records implements audit.Log.
func (l counted) Records(ctx context.Context) iter.Seq2[audit.Record, error] {
	return func(yield func(audit.Record, error) bool) {
		for record, err := range l.Log.Records(ctx) {
			if err == nil && record.Seq%several == 0 {
				l.checker.progress(record.Seq, l.size)
			}
			if !yield(record, err) {
				return
			}
		}
		l.checker.progress(l.size, l.size)
	}
}
