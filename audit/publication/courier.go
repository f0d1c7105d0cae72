package publication

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
)

// board shows the checkpoint that witnesses shall cosign now. Each courier reads
// it at its own pace, so that a slow witness delays nobody.
type board struct {
	mu      sync.Mutex
	now     *round
	changed chan struct{}
}

// round is one asking for cosignatures.
type round struct {
	audit.Checkpoint

	number int

	mu   sync.Mutex
	kept Published // the checkpoint with the cosignatures that have come
}

func newBoard() *board { return &board{changed: make(chan struct{})} }

func (b *board) post(p Published) {
	b.mu.Lock()
	defer b.mu.Unlock()
	number := 1
	if b.now != nil {
		number = b.now.number + 1
	}
	b.now = &round{Checkpoint: p.Checkpoint, number: number, kept: p}
	close(b.changed)
	b.changed = make(chan struct{})
}

// after waits for a round that comes after a number.
func (b *board) after(ctx context.Context, number int) (*round, error) {
	for {
		b.mu.Lock()
		now, changed := b.now, b.changed
		b.mu.Unlock()
		if now != nil && now.number > number {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-changed:
		}
	}
}

// courier carries checkpoints to one witness.
type courier struct {
	*term

	to   witness
	size int64 // that the witness is at, as far as is known
}

func (l *term) courier(to witness) *courier { return &courier{term: l, to: to} }

// run asks for a cosignature of each round, or of the newest one.
func (c *courier) run(ctx context.Context) {
	var (
		done  int
		pause time.Duration
	)
	for {
		r, err := c.board.after(ctx, done)
		if err != nil {
			return
		}
		if err = c.carry(ctx, r); err == nil {
			if pause > 0 {
				c.Logger.InfoContext(ctx, "witness_back", "witness", c.to.Name, "size", r.Size)
			}
			done, pause = r.number, 0
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if pause == 0 {
			c.Logger.WarnContext(ctx, "witness_failed", "witness", c.to.Name, "size", r.Size, "error", err)
		}
		pause = min(max(2*pause, c.Interval), patience)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (c *courier) carry(ctx context.Context, r *round) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	lines, err := c.submit(ctx, r)
	if errors.Is(err, errInconsistent) || errors.Is(err, errAhead) {
		c.Gate.Suspect() // who will see whether the witness can show what it says
	}
	if err != nil {
		return err
	}
	c.size = r.Size
	return c.collect(ctx, r, lines)
}

// errAhead is a witness that has cosigned more than it is shown.
var errAhead = errors.New("the witness has cosigned a larger log")

// submit shows the witness a checkpoint, with a proof from where it stands.
func (c *courier) submit(ctx context.Context, r *round) ([]byte, error) {
	r.mu.Lock()
	note := r.kept.Note
	r.mu.Unlock()
	for range 3 { // another publisher may be at it too
		if c.size > r.Size {
			return nil, fmt.Errorf("%w: %d entries", errAhead, c.size)
		}
		var proof tlog.TreeProof
		if c.size > 0 && c.size < r.Size {
			var err error
			if proof, err = audit.ProveConsistency(ctx, r.Size, c.size, c.Store); err != nil {
				return nil, err
			}
		}
		lines, size, err := c.to.add(ctx, c.size, proof, note)
		if !errors.Is(err, errConflict) {
			return lines, err
		}
		c.size = size
	}
	return nil, errConflict
}

// collect adds what the witness signed to the note, and keeps it. Another round
// of the same checkpoint may have added something in the meantime.
func (c *courier) collect(ctx context.Context, r *round, lines []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		p, err := c.cosigned(r.kept, lines)
		if err != nil {
			return fmt.Errorf("reading the cosignature: %w", err)
		}
		err = c.Store.SaveCosigned(ctx, r.kept.Note, p)
		if err == nil {
			r.kept = p
			return nil
		}
		if !errors.Is(err, ErrMoved) {
			return fmt.Errorf("keeping the cosignature: %w", err)
		}
		fresh, err := c.Store.CheckpointAt(ctx, r.Origin, r.Size)
		if err != nil {
			return fmt.Errorf("reading the checkpoint again: %w", err)
		}
		r.kept = fresh
	}
}

// cosigned is the checkpoint with the lines of a witness, and when it had the
// quorum.
func (c *courier) cosigned(p Published, lines []byte) (Published, error) {
	var err error
	if p.Note, err = c.policy.Cosign(p.Note, lines); err != nil {
		return p, err
	}
	s, err := c.policy.Open(p.Note)
	switch {
	case errors.Is(err, audit.ErrUnwitnessed):
	case err != nil:
		return p, err
	case !s.WitnessedAt.IsZero():
		p.WitnessedAt = s.WitnessedAt
	}
	return p, nil
}

// keepStamping has checkpoints time-stamped, the newest first. Where that fails
// it is tried again; after an hour a stamp would say nothing any more.
func (l *term) keepStamping(ctx context.Context) {
	const (
		window  = time.Hour
		portion = 10
	)
	if l.Stamper == nil {
		return
	}
	var (
		done  int
		pause time.Duration
	)
	for {
		r, err := l.board.after(ctx, done)
		if err != nil {
			return
		}
		open, err := l.Store.Unstamped(ctx, l.key.Origin(), l.Now().Add(-window), portion)
		for i := 0; err == nil && i < len(open); i++ {
			err = l.stamp(ctx, open[i])
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && len(open) == portion:
			pause = 0
		case err == nil:
			done, pause = r.number, 0
		default:
			if pause == 0 {
				l.Logger.WarnContext(ctx, "checkpoint_not_stamped", "error", err)
			}
			pause = min(max(2*pause, l.Interval), patience)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// stamp asks for the time of the note as the log signed it, without
// cosignatures, which may come later.
func (l *term) stamp(ctx context.Context, p Published) error {
	s, err := l.policy.Open(p.Note)
	if err != nil && !errors.Is(err, audit.ErrUnwitnessed) {
		return err
	}
	digest := sha256.Sum256(s.LogSigned)
	token, err := l.Stamper.TimeStamp(ctx, crypto.SHA256, digest[:])
	if err != nil {
		return fmt.Errorf("stamping the checkpoint of %d entries: %w", p.Size, err)
	}
	return l.Store.SaveTimestamp(ctx, p.Checkpoint, token)
}
