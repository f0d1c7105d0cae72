package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/audit/publication"
)

// AuditRecoverCommand says which entries of the signature log were lost, as by a
// backup that was put back, and lets the log go on: with the lost leaves from a
// mirror, or under another name. Stop the signers first, or leave them: one that
// has noticed waits, and goes on by itself. Exit status 1: nothing was done.
type AuditRecoverCommand struct {
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
	TokenSettings
	PublicSettings
	LogSettings
	WatchSettings

	// Reason and Operator are written to the log.
	Reason   string `help:"Why entries were lost, in your words."`
	Operator string `help:"Who decides."`
	From     string `help:"Put the lost entries back from this mirror of the log (rubrica audit mirror), without what they commit to." type:"existingdir" xor:"how" placeholder:"DIR"`
	NewTree  bool   `help:"Go on without them, under another name of the log." xor:"how"`
}

// Run says what is lost, and does what was asked for.
func (c *AuditRecoverCommand) Run(ctx context.Context) error { return c.recover(ctx, os.Stdout) }

var errNotAsked = errors.New("nothing was done: say --from DIR, a mirror of the log, to put the lost entries back, or --new-tree to go on without them, " +
	"with --reason and --operator, which the log will show")

func (c *AuditRecoverCommand) recover(ctx context.Context, out io.Writer) (err error) {
	if err := c.actAsOwner(); err != nil {
		return err
	}
	token, err := c.open(slog.Default())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, token.Close()) }()
	key, err := checkpointKey(ctx, token)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	origin, err := c.origin(c.PublicSettings)
	if err != nil {
		return err
	}
	policy, err := c.policy()
	if err != nil {
		return err
	}
	watch, err := c.watch(db, policy, origin, key.Public())
	if err != nil {
		return err
	}
	r := &publication.Recovery{Store: db, Watch: watch, Operator: c.Operator, Reason: c.Reason, Now: time.Now}
	f, err := r.Find(ctx)
	if err != nil {
		return fmt.Errorf("looking at the log: %w", err)
	}
	describe(out, f)
	return c.act(ctx, r, f, out)
}

func (c *AuditRecoverCommand) act(ctx context.Context, r *publication.Recovery, f publication.Finding, out io.Writer) error {
	switch {
	case f.Reason == "":
		return publication.ErrNothingLost
	case c.From == "" && !c.NewTree, strings.TrimSpace(c.Reason) == "", strings.TrimSpace(c.Operator) == "":
		return errNotAsked
	case c.NewTree:
		tree, err := r.Rename(ctx)
		if err != nil {
			return fmt.Errorf("beginning another tree: %w", err)
		}
		fmt.Fprintf(out, "\nThe log goes on as %s. Add this line to the witness policies, and give it to the witnesses:\n\nlog %s\n", tree.Origin, tree.Key)
		return nil
	}
	tree, err := r.Refill(ctx, os.DirFS(c.From))
	if err != nil {
		return fmt.Errorf("putting entries back: %w", err)
	}
	fmt.Fprintf(out, "\n%d entries are back, without what they commit to: the log has the %d that were seen, and goes on.\n", tree.Size-f.Head.Size, tree.Size)
	return nil
}

// describe says how the log stands.
func describe(out io.Writer, f publication.Finding) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-12s"+format+"\n", append([]any{name}, args...)...)
	}
	line("log", "%s", f.Tree.Origin)
	line("here", "%d entries, root %s", f.Head.Size, f.Head.Root)
	if f.Known.By != "" {
		line("known", "%d entries of %s, root %s (%s)", f.Known.Size, f.Known.Origin, f.Known.Root, f.Known.By)
	}
	if len(f.Answered) > 0 {
		line("asked", "%s", strings.Join(f.Answered, ", "))
	}
	if len(f.Unanswered) > 0 {
		line("silent", "%s", strings.Join(f.Unanswered, ", "))
	}
	switch f.Reason {
	case publication.Behind:
		line("lost", "entries %d to %d", f.Head.Size, max(f.Head.Size, f.Known.Size)-1)
	case publication.Forked:
		line("forked", "this is not the log that was published: keep the database, somebody has written in it")
	case publication.Rekeyed:
		line("key", "the token has another key than the one of the log's name")
	case publication.Silent, publication.Shrunk:
	}
}
