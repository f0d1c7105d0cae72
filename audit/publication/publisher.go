package publication

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Gate is what a Publisher asks of a Guard.
type Gate interface {
	Check() error
	Suspect()
}

// Config names the parts of a Publisher.
type Config struct {
	Store Store
	Gate  Gate
	// Key is the log's Ed25519 key, Origin the name that the log takes if it has
	// none yet.
	Key    crypto.Signer
	Origin string
	// Policy is whose cosignatures are asked for; the zero Policy: nobody's.
	Policy audit.Policy
	State  *State
	// Stamper is nil where checkpoints are not time-stamped.
	Stamper Stamper
	Client  *http.Client
	// Interval is the time between two checkpoints, Timeout how long a witness
	// may take, Refresh how old a cosignature may be while nothing happens.
	Interval, Timeout, Refresh time.Duration
	Now                        func() time.Time
	Logger                     *slog.Logger
}

// Publisher publishes the log while it is the one that does.
type Publisher struct{ Config }

// New makes a Publisher.
func New(c Config) (*Publisher, error) {
	if c.Store == nil || c.Gate == nil || c.Key == nil || c.State == nil || c.Client == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("a publisher without store, gate, key, state, client, clock or log")
	}
	if c.Interval <= 0 || c.Timeout <= 0 || c.Refresh <= 0 {
		return nil, errors.New("a publisher without interval, timeout or refresh")
	}
	return &Publisher{c}, nil
}

// ErrOtherKey means that the log's name belongs to another key.
var ErrOtherKey = errors.New("the log was published under another key: bring the token with that one, or begin another tree with `rubrica audit recover --new-tree`")

// Run publishes, until ctx ends. Whoever holds the lease has all the work; the
// others look now and then whether it is free.
func (p *Publisher) Run(ctx context.Context) {
	var said string
	for ctx.Err() == nil {
		err := p.lead(ctx)
		switch {
		case err == nil, errors.Is(err, ErrHeld):
			said = ""
		case ctx.Err() == nil && err.Error() != said:
			said = err.Error()
			p.Logger.ErrorContext(ctx, "log_not_published", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(p.Interval):
		}
	}
}

// lead publishes while it holds the lease and the guard is open.
func (p *Publisher) lead(ctx context.Context) error {
	if p.Gate.Check() != nil {
		return nil
	}
	lease, err := p.Store.Lead(ctx)
	if err != nil {
		return err
	}
	defer lease.Close()
	l, err := p.begin(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	defer group.Wait() //nolint:errcheck // the couriers return none; what ended the rest is returned below
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, w := range p.Policy.Witnesses() {
		group.Go(func() error { l.courier(witness{w, p.Client}).run(ctx); return nil })
	}
	group.Go(func() error { l.keepStamping(ctx); return nil })
	return l.keep(ctx, lease)
}

// term is the time for which a Publisher leads.
type term struct {
	*Publisher

	key    *audit.LogKey
	policy audit.Policy
	last   Published // the largest that was signed; zero if none was
	board  *board
	posted time.Time // when witnesses were last asked for something
	tidied time.Time
}

// begin finds the log's name and the last checkpoint, or takes the first name.
func (p *Publisher) begin(ctx context.Context) (*term, error) {
	trees, err := p.Store.Trees(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the names of the log: %w", err)
	}
	if len(trees) == 0 {
		return p.beginFirst(ctx)
	}
	current := trees[len(trees)-1]
	key, err := audit.NewLogKey(current.Origin, p.Key)
	if err != nil {
		return nil, err
	}
	if key.VerifierKey() != current.Key {
		return nil, fmt.Errorf("%w (this token's: %s)", ErrOtherKey, key.VerifierKey())
	}
	l := &term{Publisher: p, key: key, board: newBoard()}
	if l.policy, err = p.Policy.WithLog(key.VerifierKey()); err != nil {
		return nil, err
	}
	last, err := p.Store.LastCheckpoint(ctx, current.Origin)
	switch {
	case errors.Is(err, policies.Refuse(policies.NotFound)):
		return l, nil
	case err != nil:
		return nil, fmt.Errorf("reading the last checkpoint: %w", err)
	}
	if s, err := l.policy.Open(last.Note); err != nil && !errors.Is(err, audit.ErrUnwitnessed) || s.Checkpoint != last.Checkpoint {
		p.Gate.Suspect()
		return nil, fmt.Errorf("the last checkpoint on record was not signed by the log: %w", errors.Join(audit.ErrCheckpoint, err))
	}
	l.last = last
	return l, nil
}

func (p *Publisher) beginFirst(ctx context.Context) (*term, error) {
	head, err := p.Store.LogHead(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the head of the log: %w", err)
	}
	key, err := audit.NewLogKey(p.Origin, p.Key)
	if err != nil {
		return nil, err
	}
	err = p.Store.FirstTree(ctx, Tree{Origin: p.Origin, Key: key.VerifierKey(), Begun: head.Size, BegunAt: p.Now()})
	if err != nil {
		return nil, fmt.Errorf("naming the log: %w", err)
	}
	p.Logger.InfoContext(ctx, "log_named", "origin", p.Origin, "key", key.VerifierKey())
	return p.begin(ctx)
}

// keep makes checkpoints as time passes or somebody asks.
func (l *term) keep(ctx context.Context, lease Lease) error {
	for l.Gate.Check() == nil {
		if err := l.publish(ctx); err != nil {
			return err
		}
		l.tidy(ctx)
		if err := lease.Wait(ctx, l.Interval); err != nil {
			return fmt.Errorf("holding the lease: %w", err)
		}
	}
	return nil
}

func (l *term) post() {
	l.board.post(l.last)
	l.posted = l.Now()
}

// publish makes a checkpoint of the log as it stands, if it has grown.
func (l *term) publish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	head, err := l.Store.LogHead(ctx)
	if err != nil {
		return fmt.Errorf("reading the head of the log: %w", err)
	}
	if head.Size == 0 {
		return nil
	}
	tree, err := l.follow(ctx, head)
	if errors.Is(err, audit.ErrProof) {
		l.Gate.Suspect()
		return fmt.Errorf("the log does not follow from its last checkpoint: %w", err)
	}
	if err != nil {
		return err
	}
	if tree.Size == l.last.Size {
		return l.refresh(ctx)
	}
	return l.sign(ctx, tree)
}

// refresh has witnesses say again that they see nothing newer, first of all when
// a term begins: whoever led before may not have got round to asking. It starts
// from the note as it stands: cosignatures give way to later ones only.
func (l *term) refresh(ctx context.Context) error {
	if l.Now().Sub(l.posted) < l.Refresh {
		return nil
	}
	last, err := l.Store.LastCheckpoint(ctx, l.key.Origin())
	if err != nil {
		return fmt.Errorf("reading the last checkpoint: %w", err)
	}
	l.last = last
	l.post()
	return nil
}

// follow is the tree of a head that continues what was signed before, on record
// in the database and outside it (audit.ErrProof).
func (l *term) follow(ctx context.Context, head audit.Head) (audit.Tree, error) {
	tree, err := head.Tree()
	if err != nil {
		return tree, fmt.Errorf("%w: %w", audit.ErrProof, err)
	}
	if stored, err := audit.TreeHash(ctx, tree.Size, l.Store); err != nil {
		return tree, err
	} else if stored != tree {
		return tree, fmt.Errorf("%w: the head is not that of the stored hashes", audit.ErrProof)
	}
	if err := begins(ctx, l.Store, tree, l.last.Tree); err != nil {
		return tree, err
	}
	note, err := l.State.Load()
	if err != nil || note == nil {
		return tree, err
	}
	kept, err := textOf(note)
	if err != nil || kept.Origin != l.key.Origin() { // of a name that has ended: the guard has seen to it
		return tree, nil //nolint:nilerr // as the comment says; the guard reports a damaged file
	}
	return tree, begins(ctx, l.Store, tree, kept.Tree)
}

// sign makes and keeps a checkpoint. The file outside the database knows of it
// before anybody else does: a crash in between leaves a log that goes on from
// it, and a database put back from before is found out.
func (l *term) sign(ctx context.Context, tree audit.Tree) error {
	c := audit.Checkpoint{Origin: l.key.Origin(), Tree: tree}
	note, err := l.key.Sign(c)
	if err != nil {
		return err
	}
	if err := l.State.Save(c, note); err != nil {
		return err
	}
	p := Published{Checkpoint: c, Note: note, SignedAt: l.Now()}
	if _, err := l.policy.Open(note); err == nil { // a policy that asks for no witness
		p.WitnessedAt = p.SignedAt
	}
	kept, err := l.Store.SaveCheckpoint(ctx, p)
	if errors.Is(err, ErrSplit) {
		l.Gate.Suspect()
	}
	if err != nil {
		return fmt.Errorf("keeping the checkpoint of %d entries: %w", c.Size, err)
	}
	l.last = kept
	l.post()
	return nil
}

// tidy forgets old checkpoints, now and then.
func (l *term) tidy(ctx context.Context) {
	const turn = 10 * time.Minute
	now := l.Now()
	if now.Sub(l.tidied) < turn {
		return
	}
	l.tidied = now
	if err := l.Store.ThinCheckpoints(ctx, now); err != nil && ctx.Err() == nil {
		l.Logger.WarnContext(ctx, "checkpoints_not_thinned", "error", err)
	}
}
