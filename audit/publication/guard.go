package publication

import (
	"context"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Recorder appends to the log.
type Recorder interface {
	Log(ctx context.Context, entries ...audit.Entry) error
}

// GuardConfig names the parts of a Guard.
type GuardConfig struct {
	Watch *Watch
	// Record takes log.suspended and log.resumed; nil for who only looks.
	Record Recorder
	// Every is the time between two looks, Retry while it is closed.
	Every, Retry time.Duration
	Now          func() time.Time
	Logger       *slog.Logger
}

// Guard says whether the log is the one that others have seen. It is closed
// until it has found out. It is for any number of goroutines.
type Guard struct {
	GuardConfig

	verdict atomic.Pointer[verdict]
	suspect chan struct{}
	opened  chan struct{}

	looking sync.Mutex
	known   []Seen       // what was the largest at the last look, and what closed the guard
	size    atomic.Int64 // that the log had when somebody appended to it
}

// verdict is how the guard stands.
type verdict struct {
	reason Reason
	since  time.Time
	said   bool // that it is closed
}

// NewGuard makes a closed one.
func NewGuard(c GuardConfig) *Guard {
	g := &Guard{GuardConfig: c, suspect: make(chan struct{}, 1), opened: make(chan struct{})}
	g.verdict.Store(&verdict{reason: Silent, since: c.Now()})
	return g
}

// Check returns a *policies.Refusal, policies.LogSuspended, while nothing may be
// signed.
func (g *Guard) Check() error {
	if v := g.verdict.Load(); v.reason != "" {
		return g.refusal(v.reason)
	}
	return nil
}

// Gate is Check as others call it.
func (g *Guard) Gate(context.Context) error { return g.Check() }

func (g *Guard) refusal(reason Reason) *policies.Refusal {
	return policies.Refuse(policies.LogSuspended, "reason", string(reason)).After(g.Every)
}

// Admit says whether an entry may be appended to this head. Where entries are
// missing it may not: it would take the number of one of them. A head that has
// gone back since this process saw it is looked into first.
func (g *Guard) Admit(head audit.Head) error {
	switch v := g.verdict.Load(); v.reason {
	case "", Forked, Rekeyed:
	default:
		return g.refusal(v.reason)
	}
	for {
		size := g.size.Load()
		if head.Size < size {
			g.Suspect()
			return g.refusal(Shrunk)
		}
		if g.size.CompareAndSwap(size, head.Size) {
			return nil
		}
	}
}

// Suspect has the guard look at once.
func (g *Guard) Suspect() {
	select {
	case g.suspect <- struct{}{}:
	default:
	}
}

// Await returns when the guard has opened once, or ctx ends.
func (g *Guard) Await(ctx context.Context) error {
	select {
	case <-g.opened:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Run looks now and then, until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	for {
		g.Look(ctx)
		pause := g.Every
		if g.Check() != nil {
			pause = g.Retry
		}
		select {
		case <-ctx.Done():
			return
		case <-g.suspect:
		case <-time.After(pause):
		}
	}
}

// Look examines the log, and opens or closes.
func (g *Guard) Look(ctx context.Context) {
	g.looking.Lock()
	defer g.looking.Unlock()
	size := g.size.Load()
	asking, cancel := context.WithTimeout(ctx, g.Watch.Timeout+patience)
	defer cancel()
	f, err := g.Watch.Examine(asking, g.known...)
	if err != nil {
		if ctx.Err() == nil {
			g.Logger.ErrorContext(ctx, "log_not_examined", "error", err)
		}
		return
	}
	was := *g.verdict.Load()
	next := g.judge(was, f)
	if next.reason == "" {
		g.agree(ctx, f, size)
	}
	if f.Known.note != nil {
		g.known = []Seen{f.Known}
	}
	if next.reason != was.reason || !was.said {
		g.turn(ctx, was, next, f)
	}
}

// judge decides. No word from any witness closes nothing that was open: others
// could stop the service by cutting a wire.
func (g *Guard) judge(was verdict, f Finding) verdict {
	reason := f.Reason
	if reason == "" && was.reason == Silent && len(f.Unanswered) > 0 && len(f.Answered) == 0 {
		reason = Silent
	}
	if reason == was.reason {
		return was
	}
	return verdict{reason: reason, since: g.Now()}
}

// agree keeps what was found, for the next start of this process.
func (g *Guard) agree(ctx context.Context, f Finding, size int64) {
	// Unless somebody appended in the meantime, the log ends where it was seen to.
	if f.Head.Size < size && g.size.CompareAndSwap(size, f.Head.Size) {
		g.Logger.ErrorContext(ctx, "log_shrunk", "from", size, "to", f.Head.Size,
			"consequence", "entries were lost that nobody outside had seen, as by a standby that took over before it had received them")
		g.record(ctx, audit.LogResumed, Shrunk, f)
	}
	if f.Known.note == nil {
		return
	}
	if err := g.Watch.State.Save(f.Known.Checkpoint, f.Known.note); err != nil {
		g.Logger.ErrorContext(ctx, "log_state_unwritten", "error", err)
	}
}

// turn says and records a change. Nothing is recorded where it would take the
// number of an entry that was lost.
func (g *Guard) turn(ctx context.Context, was, next verdict, f Finding) {
	next.said = true
	g.verdict.Store(&next)
	facts := []any{"origin", f.Tree.Origin, "size", f.Head.Size, "known", f.Known.Size, "by", f.Known.By, "unanswered", f.Unanswered}
	if next.reason == "" {
		select {
		case <-g.opened:
		default:
			close(g.opened)
		}
		g.Logger.InfoContext(ctx, "log_agrees", facts...)
		if len(g.Watch.Policy.Witnesses()) == 0 && !was.said {
			g.Logger.WarnContext(ctx, "log_unwitnessed", "consequence", "whoever has the database and the log's key can rewrite the log unseen: set witness-policy")
		}
		if was.said {
			g.record(ctx, audit.LogResumed, was.reason, f)
		}
		return
	}
	g.Logger.ErrorContext(ctx, "log_suspended", append(facts, "reason", string(next.reason), "remedy", remedy(next.reason))...)
	if next.reason == Forked || next.reason == Rekeyed {
		g.record(ctx, audit.LogSuspended, next.reason, f)
	}
}

func (g *Guard) record(ctx context.Context, kind audit.EventType, cause Reason, f Finding) {
	if g.Record == nil {
		return
	}
	payload := map[string]any{"cause": string(cause), "size": f.Head.Size, "root": hex.EncodeToString(f.Head.Root[:])}
	if f.Known.By != "" {
		payload["witnessed_size"], payload["witnessed_root"], payload["witness"] = f.Known.Size, hex.EncodeToString(f.Known.Root[:]), f.Known.By
	}
	err := g.Record.Log(context.WithoutCancel(ctx), audit.Entry{Type: kind, Operation: operation, At: g.Now(), Payload: payload})
	if err != nil {
		g.Logger.ErrorContext(ctx, "log_event_unrecorded", "type", string(kind), "error", err)
	}
}

// patience is how long the database may take.
const patience = 30 * time.Second

// operation is what events of the log itself belong to.
const operation = "log"

// remedy is what an operator can do.
func remedy(reason Reason) string {
	switch reason {
	case Behind:
		return "entries are missing, as after a backup was put back: restore the newest database, or run `rubrica audit recover` to see what is lost, " +
			"then again with --from a mirror of the log, or with --new-tree"
	case Forked:
		return "this is not the log that was published: keep the database for an examination, run `rubrica audit verify --database`, " +
			"restore the right one, or begin another tree with `rubrica audit recover --new-tree`"
	case Rekeyed:
		return ErrOtherKey.Error()
	case Silent, Shrunk:
	}
	return "no witness of the policy answers: start one, or mend the way to it; this process asks again every few seconds"
}
