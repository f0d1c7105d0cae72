package dev

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rubrica-firma/rubrica/internal/child"
)

// unit is something that runs and may die: a command of ours, PostgreSQL.
type unit interface {
	// Start returns when it runs.
	Start(ctx context.Context) error
	// Done is closed when what Start started has ended.
	Done() <-chan struct{}
	// Stop ends it in order and returns when it is gone.
	Stop(ctx context.Context)
}

// keeper keeps a unit running until it is told to stop.
type keeper struct {
	name   string
	unit   unit
	logger *slog.Logger
	cancel context.CancelFunc
	gone   chan struct{}
	deaths atomic.Int32
}

const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 5 * time.Second
	// steady is how long a unit must run for its past deaths to be forgotten.
	steady = 2 * time.Second
)

// keep starts a unit and, from then on, starts it again whenever it dies.
func keep(ctx context.Context, logger *slog.Logger, name string, u unit) (*keeper, error) {
	if err := u.Start(ctx); err != nil {
		return nil, err
	}
	// It stops when stop is called, in the order that the environment decides,
	// and not when a signal ends ctx.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k := &keeper{name: name, unit: u, logger: logger, cancel: cancel, gone: make(chan struct{})}
	go k.run(ctx)
	return k, nil
}

func (k *keeper) run(ctx context.Context) {
	defer close(k.gone)
	pause := shortestPause
	for {
		started := time.Now()
		select {
		case <-ctx.Done():
			k.unit.Stop(context.WithoutCancel(ctx))
			return
		case <-k.unit.Done():
		}
		if time.Since(started) > steady {
			pause = shortestPause
		}
		k.deaths.Add(1)
		for {
			k.logger.WarnContext(ctx, "a process died and is started again", "process", k.name, "pause", pause)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, longestPause)
			err := k.unit.Start(ctx)
			if err == nil {
				break
			}
			k.logger.ErrorContext(ctx, "a process could not be started again", "process", k.name, "error", err)
		}
	}
}

func (k *keeper) stop() {
	k.cancel()
	<-k.gone
}

// command is a process of this very program.
type command struct {
	path string
	args []string
	env  []string
	log  string // the file that receives what it prints

	account *account // nil is whoever runs this

	process *child.Process
}

func (c *command) Start(ctx context.Context) error {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening a log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.path, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = log, log
	if c.account != nil {
		c.account.assume(cmd)
	}
	c.process, err = child.Start(cmd, syscall.SIGKILL)
	return err
}

func (c *command) Done() <-chan struct{} { return c.process.Done() }

func (c *command) Stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c.process.Stop(ctx, syscall.SIGTERM)
}

// once runs the command to its end. What it says goes to the log; the last
// lines of a failure come back in the error.
func (c *command) once(ctx context.Context) error {
	before := size(c.log)
	if err := c.Start(ctx); err != nil {
		return err
	}
	select {
	case <-c.process.Done():
	case <-ctx.Done():
		c.Stop(context.WithoutCancel(ctx))
		return fmt.Errorf("running %s: %w", c.args[0], ctx.Err())
	}
	if err := c.process.Err(); err != nil {
		return fmt.Errorf("running %s: %w%s", c.args[0], err, tail(c.log, before))
	}
	return nil
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// tail quotes what was written to a log since it had the given size, at most
// its last dozen lines.
func tail(path string, since int64) string {
	text, err := os.ReadFile(path)
	if err != nil || int64(len(text)) <= since {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(text[since:]), []byte("\n"))
	lines = lines[max(0, len(lines)-12):]
	return "\n  " + string(bytes.Join(lines, []byte("\n  ")))
}
