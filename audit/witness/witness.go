package witness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Config says which witness it is and what it watches.
type Config struct {
	// Dir was made by Init.
	Dir  string
	Logs Logs
	// Now dates cosignatures.
	Now    func() time.Time
	Logger *slog.Logger
}

// Witness cosigns the checkpoints of its logs. Its methods may be called from
// any number of goroutines.
type Witness struct {
	Config

	key  key
	lock *os.File
	logs atomic.Pointer[Logs]

	mu     sync.Mutex // from reading what is held to having written what takes its place
	held   map[string]held
	broken error // why nothing could be written, the last time
	forks  evidence
}

// What an add-checkpoint is refused with; and ErrMalformed.
var (
	ErrUnknownLog   = errors.New("no log of that origin is watched here")
	ErrSignature    = errors.New("no key of that log has signed the checkpoint, or its signature does not verify")
	ErrOldSize      = errors.New("the old size is larger than the checkpoint's")
	ErrInconsistent = errors.New("the checkpoint is not shown to continue the one that was cosigned")
	// ErrClock means that the clock stands before what it said at the last
	// cosignature, which says that there was nothing newer at its time.
	ErrClock = errors.New("the clock of the witness is wrong")
)

// ConflictError says which size the proof has to begin with.
type ConflictError struct{ Size int64 }

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("the newest checkpoint that was cosigned has %d entries", e.Size)
}

// Open takes a witness's directory, for one process alone, and reads what it
// has cosigned.
func Open(c Config) (_ *Witness, err error) {
	lock, err := hold(c.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	k, err := readKey(filepath.Join(c.Dir, keyFile))
	if err != nil {
		return nil, err
	}
	vkey, logs, err := readMemory(c.Dir)
	if err != nil {
		return nil, err
	}
	if vkey != k.verifier.String() {
		return nil, fmt.Errorf("%w: %s is of another key, %s", ErrMemory, memoryFile, vkey)
	}
	w := &Witness{Config: c, key: k, lock: lock, held: logs}
	if w.forks, err = openEvidence(c.Dir); err != nil {
		return nil, err
	}
	w.Watch(c.Logs)
	return w, nil
}

// Close lets go of the directory.
func (w *Witness) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = os.ErrClosed // what still comes is not written
	return w.lock.Close()
}

// VerifierKey is what others verify the cosignatures with.
func (w *Witness) VerifierKey() string { return w.key.verifier.String() }

// Watch changes which logs are watched. What was cosigned of others stays
// known.
func (w *Witness) Watch(logs Logs) { w.logs.Store(&logs) }

// Add is an add-checkpoint: it returns the cosignature's line, or why there is
// none. The order of the checks is the norm's (C2SP tlog-witness).
func (w *Witness) Add(ctx context.Context, r Request) (string, error) {
	keys, known := w.logs.Load().keys[r.checkpoint.Origin]
	if !known {
		return "", ErrUnknownLog
	}
	opened, err := note.Open(r.Note, note.VerifierList(keys...))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if r.OldSize > r.checkpoint.N {
		return "", ErrOldSize
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.held[r.checkpoint.Origin]
	if err := w.check(ctx, before, r); err != nil {
		return "", err
	}
	return w.cosign(before, r.checkpoint, opened)
}

// check compares a signed checkpoint with the one before. Whatever its log
// cannot have signed in good faith is kept.
func (w *Witness) check(ctx context.Context, before held, r Request) error {
	c := r.checkpoint
	known := before.note != nil
	// The norm's answer to another old size is 409, but a fork is a fork.
	if known && c.N == before.N && c.Hash != before.Hash {
		w.keep(ctx, fork, before, r)
	}
	switch {
	case r.OldSize != before.N:
		return &ConflictError{Size: before.N}
	case c.N == 0 && c.Hash != emptyRoot():
		return fmt.Errorf("%w: a tree of no entries with a root", ErrInconsistent)
	case r.OldSize == 0 && len(r.Proof) > 0:
		return fmt.Errorf("%w: a proof from no entries", ErrInconsistent)
	case r.OldSize == 0 && c.N > 0:
		return nil
	case r.OldSize == c.N:
		if len(r.Proof) > 0 || known && c.Hash != before.Hash {
			return fmt.Errorf("%w: other entries of the same number", ErrInconsistent)
		}
		return nil
	}
	if err := tlog.CheckTree(tlog.TreeProof(r.Proof), c.N, c.Hash, before.N, before.Hash); err != nil {
		w.keep(ctx, blame(before, r), before, r)
		return fmt.Errorf("%w: %w", ErrInconsistent, err)
	}
	return nil
}

// emptyRoot is the hash of no entries (RFC 6962, section 2.1).
func emptyRoot() tlog.Hash {
	hash, err := tlog.TreeHash(0, nil)
	if err != nil {
		panic(err) // it reads nothing
	}
	return hash
}

// cosign writes down what is going to be said, and then says it.
func (w *Witness) cosign(before held, c torchwood.Checkpoint, opened *note.Note) (string, error) {
	if errors.Is(w.broken, os.ErrClosed) {
		return "", w.broken
	}
	now := w.Now()
	if now.Unix() < before.at.Unix() {
		return "", fmt.Errorf("%w: it says %v, and said %v", ErrClock, now.UTC(), before.at)
	}
	line, err := w.key.cosign(opened.Text, now)
	if err != nil {
		return "", err
	}
	after := held{Checkpoint: c, id: OriginHash(c.Origin), note: noteOf(opened, line), at: now.Truncate(time.Second).UTC()}
	w.held[c.Origin] = after
	if err := w.write(); err != nil {
		// It may stand in the file or not. Nobody has the cosignature: what was
		// known before goes on.
		if w.held[c.Origin] = before; before.note == nil {
			delete(w.held, c.Origin)
		}
		return "", err
	}
	return line, nil
}

func (w *Witness) write() error {
	content, err := encodeMemory(w.key.verifier.String(), w.held)
	if err == nil {
		err = writeFile(w.Dir, memoryFile, content)
	}
	w.broken = err
	return err
}

// noteOf is a checkpoint with the signatures that were verified, the log's, and
// the witness's own.
func noteOf(opened *note.Note, line string) []byte {
	var b strings.Builder
	b.WriteString(opened.Text + "\n")
	for _, s := range opened.Sigs {
		fmt.Fprintf(&b, "— %s %s\n", s.Name, s.Base64)
	}
	b.WriteString(line)
	return []byte(b.String())
}

// Checkpoint is the newest one that was cosigned of the log with that hash
// (OriginHash).
func (w *Witness) Checkpoint(originHash string) (signed []byte, found bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.held {
		if h.id == originHash {
			return h.note, true
		}
	}
	return nil, false
}
