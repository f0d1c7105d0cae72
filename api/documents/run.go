package documents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// Isolation is how a child is separated.
type Isolation string

const (
	// Namespaces is a user and a network namespace of its own, without any interface up.
	Namespaces Isolation = "namespaces"
	// ProcessOnly is limits and an empty environment, but the host's network:
	// the kernel or the container forbids namespaces.
	ProcessOnly Isolation = "process"
)

// run executes a job in a child and gives what it wrote, at most limit octets.
func (w *Worker) run(ctx context.Context, j job, content []byte, limit int) ([]byte, error) {
	if err := w.enter(ctx); err != nil {
		return nil, err
	}
	defer func() { <-w.places }()

	ctx, cancel := context.WithTimeout(ctx, w.limits.Wall)
	defer cancel()
	j.Memory, j.CPU = w.limits.Memory, int64((w.limits.CPU+time.Second-1)/time.Second)
	header, err := encodeFrame(j)
	if err != nil {
		return nil, err
	}
	out := &bounded{left: limit}
	cmd := exec.CommandContext(ctx, w.command[0], w.command[1:]...)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}
	cmd.Dir = "/"
	cmd.Stdin = io.MultiReader(bytes.NewReader(header), bytes.NewReader(content))
	cmd.Stdout = out
	cmd.SysProcAttr = w.attributes()
	// The whole process group: the child becomes what it executes, but what
	// that starts in its turn is not ours to know.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return nil, w.judge(ctx, j, out, err)
	}
	return out.Bytes(), nil
}

// enter waits for a place.
func (w *Worker) enter(ctx context.Context) error {
	timer := time.NewTimer(w.wait)
	defer timer.Stop()
	select {
	case w.places <- struct{}{}:
		return nil
	case <-timer.C:
		return policies.Refuse(policies.Busy).After(busyRetry)
	case <-ctx.Done():
		return fmt.Errorf("waiting for a document worker: %w", ctx.Err())
	}
}

func (w *Worker) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if w.isolation == Namespaces {
		attributes.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Geteuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getegid(), Size: 1}}
	}
	return attributes
}

// nobody is the user that a child sees itself as: not root, so it holds no
// capability, not even in its own namespaces, once it has executed.
const nobody = 65534

// judge says what the end of a child means. A job that was killed, ran out of
// something or gave too much was too complex; one that a program gave up on is
// damaged. A child that could not even start is our fault.
func (w *Worker) judge(ctx context.Context, j job, out *bounded, err error) error {
	var exit *exec.ExitError
	switch {
	case out.full:
		return policies.Refuse(policies.DocumentTooComplex, "reason", "output")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return policies.Refuse(policies.DocumentTooComplex, "reason", "time")
	case ctx.Err() != nil:
		return fmt.Errorf("running a document worker: %w", ctx.Err())
	case !errors.As(err, &exit):
		return fmt.Errorf("starting a document worker: %w", err)
	case j.Kind == kindProbe:
		return fmt.Errorf("running a document worker: %w", err)
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return policies.Refuse(policies.DocumentTooComplex, "reason", status.Signal().String())
	}
	switch code := exit.ExitCode(); {
	case code == exitProtocol || code == exitNoProgram:
		return fmt.Errorf("running a document worker: %w", err)
	case j.Kind != kindExec: // the Go runtime gave up
		return policies.Refuse(policies.DocumentTooComplex, "reason", "memory or stack")
	case code == exitRange:
		return policies.Refuse(policies.NotFound)
	default:
		return policies.Refuse(policies.DocumentDamaged, "reason", "not drawn")
	}
}

// bounded collects output up to a limit and then refuses, which ends the child.
type bounded struct {
	bytes.Buffer

	left int
	full bool
}

var errFull = errors.New("too much output")

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		b.full = true
		return 0, errFull
	}
	return b.Buffer.Write(p)
}

// decodeReply splits a prepared document's reply.
func decodeReply(out []byte) (*reply, []byte, error) {
	r := bytes.NewReader(out)
	var answer reply
	if err := decodeFrame(r, &answer); err != nil {
		return nil, nil, err
	}
	return &answer, out[len(out)-r.Len():], nil
}
