package publication

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Reason is why nothing is signed; empty where all is well.
type Reason string

// The reasons.
const (
	// Behind is a log with fewer entries than somebody has seen: entries were
	// lost, as by a backup that was put back.
	Behind Reason = "behind"
	// Forked is a log with other entries than somebody has seen.
	Forked Reason = "forked"
	// Silent is that no witness has answered since the start.
	Silent Reason = "silent"
	// Rekeyed is a log whose name belongs to another key than this one.
	Rekeyed Reason = "rekeyed"
	// Shrunk is a log that has lost entries that nobody else has seen.
	Shrunk Reason = "shrunk"
)

// Seen is a checkpoint with whoever has it.
type Seen struct {
	audit.Checkpoint

	// By is "log-state", a witness's name, or of the database "checkpoints" or,
	// where head and hashes differ, "head".
	By   string
	note []byte
}

// Finding is how the log agrees with what is known of it.
type Finding struct {
	// Tree is the name in use, with an empty Key where the log has none yet.
	Tree Tree
	Head audit.Tree
	// Reason is Behind, Forked, Rekeyed, or empty.
	Reason Reason
	// Known is the largest checkpoint of those that the log does not agree with,
	// or, if it agrees with all, of all.
	Known Seen
	// Answered and Unanswered are witnesses.
	Answered, Unanswered []string
}

// Watch holds the log against what is known of it outside its tables.
type Watch struct {
	Store  Reader
	Policy audit.Policy
	State  *State
	// Origin is the name that the log takes if it has none yet.
	Origin string
	// Key gives the verifier key that this log has under a name.
	Key    func(origin string) (string, error)
	Client *http.Client
	// Timeout is how long a witness may take.
	Timeout time.Duration
}

// PublicKey names an Ed25519 key as the log's.
func PublicKey(key crypto.PublicKey) (func(origin string) (string, error), error) {
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key of the log is %T, want Ed25519", key)
	}
	return func(origin string) (string, error) { return note.NewEd25519VerifierKey(origin, public) }, nil
}

// Examine gathers what is known, and what the caller keeps, and compares. An
// error means that it could not.
func (w *Watch) Examine(ctx context.Context, kept ...Seen) (Finding, error) {
	trees, err := w.Store.Trees(ctx)
	if err != nil {
		return Finding{}, fmt.Errorf("reading the names of the log: %w", err)
	}
	f := Finding{Tree: Tree{Origin: w.Origin}}
	if n := len(trees); n > 0 {
		f.Tree = trees[n-1]
	}
	seen, err := w.gather(ctx, &f, trees)
	if err != nil {
		return Finding{}, err
	}
	seen = slices.DeleteFunc(append(seen, kept...), func(s Seen) bool { return ended(trees, s.Origin) })
	// Read last, the head is ahead of all that was published before.
	if err := w.compare(ctx, &f, seen); err != nil {
		return Finding{}, err
	}
	own, err := w.Key(f.Tree.Origin)
	if err == nil && f.Reason == "" && f.Tree.Key != "" && f.Tree.Key != own {
		f.Reason = Rekeyed
	}
	return f, err
}

// ended is whether a name is known and in use no more: what was signed under it
// was given up.
func ended(trees []Tree, origin string) bool {
	return slices.ContainsFunc(trees, func(t Tree) bool { return t.Origin == origin && !t.EndedAt.IsZero() })
}

// gather asks everybody.
func (w *Watch) gather(ctx context.Context, f *Finding, trees []Tree) ([]Seen, error) {
	seen, err := w.remember(f, trees)
	if err != nil {
		return nil, err
	}
	switch last, err := w.Store.LastCheckpoint(ctx, f.Tree.Origin); {
	case err == nil:
		// One that the log's key did not sign was put there by somebody else.
		if s, err := w.open(f, last.Note); err == nil && s.Checkpoint == last.Checkpoint {
			seen = append(seen, Seen{s.Checkpoint, "checkpoints", last.Note})
		} else {
			f.Reason, f.Known = Forked, Seen{Checkpoint: last.Checkpoint, By: "checkpoints"}
		}
	case !errors.Is(err, policies.Refuse(policies.NotFound)):
		return nil, fmt.Errorf("reading the last checkpoint: %w", err)
	}
	return append(seen, w.ask(ctx, f)...), nil
}

// remember reads the state file. What it says of a name that has ended counts no
// more, whatever key that had.
func (w *Watch) remember(f *Finding, trees []Tree) ([]Seen, error) {
	kept, err := w.State.Load()
	if err != nil || kept == nil {
		return nil, err
	}
	if claimed, err := textOf(kept); err == nil && ended(trees, claimed.Origin) {
		return nil, nil
	}
	s, err := w.open(f, kept)
	if err != nil {
		return nil, fmt.Errorf("the file of the log's state holds no checkpoint of this log (to go on without what it says, remove it): %w", err)
	}
	return []Seen{{s.Checkpoint, "log-state", kept}}, nil
}

// ask asks all witnesses at once for the name in use and for the one that would
// come next: a database may be older than its name.
func (w *Watch) ask(ctx context.Context, f *Finding) []Seen {
	var (
		mu      sync.Mutex
		answers []Seen
		group   sync.WaitGroup
	)
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	for _, known := range w.Policy.Witnesses() {
		group.Go(func() {
			var seen []Seen
			var err error
			for _, origin := range []string{f.Tree.Origin, successor(f.Tree.Origin)} {
				var s *Seen
				if s, err = w.askOne(ctx, f, witness{known, w.Client}, origin); err != nil {
					break
				}
				if s != nil {
					seen = append(seen, *s)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, seen...)
			if err != nil {
				f.Unanswered = append(f.Unanswered, known.Name)
			} else {
				f.Answered = append(f.Answered, known.Name)
			}
		})
	}
	group.Wait()
	slices.Sort(f.Answered)
	slices.Sort(f.Unanswered)
	return answers
}

// askOne believes what log and witness have signed, and nothing else.
func (w *Watch) askOne(ctx context.Context, f *Finding, from witness, origin string) (*Seen, error) {
	text, err := from.latest(ctx, origin)
	if err != nil || text == nil {
		return nil, err
	}
	s, err := w.open(f, text)
	if err != nil {
		return nil, err
	}
	if s.Origin != origin || !slices.Contains(s.Witnesses, from.Name) {
		return nil, fmt.Errorf("witness %s shows a checkpoint that is not this log's or that it has not cosigned", from.Name)
	}
	return &Seen{s.Checkpoint, from.Name, text}, nil
}

// open verifies a note of this log, under whichever of its names. Under the one
// in use it has the key that the name was taken with.
func (w *Watch) open(f *Finding, text []byte) (audit.Signed, error) {
	claimed, err := textOf(text)
	if err != nil {
		return audit.Signed{}, err
	}
	key, err := w.Key(claimed.Origin)
	if err != nil {
		return audit.Signed{}, err
	}
	if claimed.Origin == f.Tree.Origin && f.Tree.Key != "" {
		key = f.Tree.Key
	}
	policy, err := w.Policy.WithLog(key)
	if err != nil {
		return audit.Signed{}, err
	}
	s, err := policy.Open(text)
	if errors.Is(err, audit.ErrUnwitnessed) {
		err = nil
	}
	return s, err
}

// compare holds the log against each checkpoint.
func (w *Watch) compare(ctx context.Context, f *Finding, seen []Seen) error {
	head, err := w.Store.LogHead(ctx)
	if err != nil {
		return fmt.Errorf("reading the head of the log: %w", err)
	}
	if err := w.whole(ctx, f, head); err != nil {
		return err
	}
	var fine Seen
	for _, s := range seen {
		reason, err := w.disagrees(ctx, f, s)
		switch {
		case err != nil:
			return err
		case reason == "":
			if s.Size > fine.Size || fine.By == "" {
				fine = s
			}
			continue
		case reason == Forked || f.Reason == "":
			f.Reason = reason
		}
		if s.Size > f.Known.Size || f.Known.By == "" {
			f.Known = s
		}
	}
	if f.Reason == "" {
		f.Known = fine
	}
	return nil
}

// whole is whether the head is that of the stored hashes.
func (w *Watch) whole(ctx context.Context, f *Finding, head audit.Head) error {
	tree, damage := head.Tree()
	stored, err := audit.TreeHash(ctx, head.Size, w.Store)
	if err != nil && !errors.Is(err, policies.Refuse(policies.NotFound)) {
		return err
	}
	f.Head = audit.Tree{Size: head.Size, Root: stored.Root}
	if damage != nil || err != nil || stored != tree {
		f.Reason, f.Known = Forked, Seen{Origin: f.Tree.Origin, Tree: tree, By: "head"}
	}
	return nil
}

func (w *Watch) disagrees(ctx context.Context, f *Finding, s Seen) (Reason, error) {
	if s.Origin != f.Tree.Origin || s.Size > f.Head.Size {
		return Behind, nil
	}
	if s.Size == f.Head.Size {
		if s.Root != f.Head.Root {
			return Forked, nil
		}
		return "", nil
	}
	switch err := begins(ctx, w.Store, f.Head, s.Tree); {
	case errors.Is(err, audit.ErrProof), errors.Is(err, policies.Refuse(policies.NotFound)):
		return Forked, nil
	default:
		return "", err
	}
}

// begins proves, from the stored hashes, that the log begins with an older tree
// (audit.ErrProof).
func begins(ctx context.Context, stored audit.HashReader, newer, older audit.Tree) error {
	switch {
	case older.Size > newer.Size:
		return fmt.Errorf("%w: %d entries cannot begin with %d", audit.ErrProof, newer.Size, older.Size)
	case older.Size == newer.Size && older.Root != newer.Root:
		return fmt.Errorf("%w: two trees of %d entries", audit.ErrProof, newer.Size)
	case older.Size == newer.Size || older.Size == 0:
		return nil
	}
	proof, err := audit.ProveConsistency(ctx, newer.Size, older.Size, stored)
	if err != nil {
		return err
	}
	return audit.CheckConsistency(proof, newer, older)
}

var numbered = regexp.MustCompile(`^(.*)/([1-9][0-9]{0,5})$`)

// successor is the name that follows: …/log, …/log/2, …/log/3.
func successor(origin string) string {
	if m := numbered.FindStringSubmatch(origin); m != nil {
		if n, err := strconv.Atoi(m[2]); err == nil && n > 1 {
			return fmt.Sprintf("%s/%d", m[1], n+1)
		}
	}
	return origin + "/2"
}
