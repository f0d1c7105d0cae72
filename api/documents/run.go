package documents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
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

// documentPath is where a child finds its document, open already.
const documentPath = "/proc/self/fd/3"

// ask runs a job in a child of our own and gives its reply and the update behind it.
func (w *Worker) ask(ctx context.Context, j job, f *File) (*reply, []byte, error) {
	return w.askWith(ctx, j, f, nil)
}

func (w *Worker) askWith(ctx context.Context, j job, f, content *File) (*reply, []byte, error) {
	j.Memory, j.CPU = w.limits.Memory, w.seconds()
	header, err := encodeFrame(j)
	if err != nil {
		return nil, nil, err
	}
	out, err := w.run(ctx, spawn{command: w.command, stdin: header, file: f, content: content, limit: maxFrame + maxUpdate})
	if err != nil {
		return nil, nil, err
	}
	answer, rest, err := decodeReply(out)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the document worker's answer: %w", err)
	}
	if answer.Refusal != nil {
		return nil, nil, answer.Refusal.refusal()
	}
	return answer, rest, nil
}

// probe starts a child that does nothing.
func (w *Worker) probe(ctx context.Context) error {
	header, err := encodeFrame(job{Kind: kindProbe, Memory: w.limits.Memory, CPU: w.seconds()})
	if err != nil {
		return err
	}
	_, err = w.run(ctx, spawn{command: w.command, stdin: header})
	return err
}

// draw runs a program of poppler over a document. prlimit and setpriv set its
// limits and then become it. A Go program in their place would be dearer to
// start, and may itself need memory that it has just given up.
func (w *Worker) draw(ctx context.Context, f *File, limit int, program ...string) ([]byte, error) {
	command := append([]string{
		"prlimit",
		"--as=" + strconv.FormatInt(w.limits.Memory, 10),
		"--cpu=" + strconv.FormatInt(w.seconds(), 10),
		"--nofile=" + strconv.Itoa(maxFiles),
		"--fsize=0",
		"--core=0",
		"setpriv", "--no-new-privs", "--",
	}, program...)
	return w.run(ctx, spawn{command: command, file: f, limit: limit, poppler: true})
}

// seconds is the limit of processor time, rounded up.
func (w *Worker) seconds() int64 { return int64((w.limits.CPU + time.Second - 1) / time.Second) }

// spawn is a child to be.
type spawn struct {
	command []string
	stdin   []byte
	file    *File // nil for a probe
	content *File // what a detached signature is of; mostly nil
	limit   int   // octets of output
	poppler bool
}

// run executes a child and gives what it wrote.
func (w *Worker) run(ctx context.Context, s spawn) ([]byte, error) {
	if err := w.enter(ctx); err != nil {
		return nil, err
	}
	defer func() { <-w.places }()

	ctx, cancel := context.WithTimeout(ctx, w.limits.Wall)
	defer cancel()
	out := &bounded{left: s.limit}
	command := w.isolated(s.command)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	// A child of our own lives for one document: it collects garbage only when
	// its memory limit comes near.
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "GOGC=off"}
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(s.stdin)
	if s.file != nil {
		cmd.ExtraFiles = []*os.File{s.file.file}
	}
	if s.content != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, s.content.file)
	}
	cmd.Stdout = out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// The whole process group: what a child starts in its turn is not ours to
	// know.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return nil, judge(ctx, s, out, err)
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

// isolated puts the command that separates a child before its own: a user,
// network and IPC namespace in which it is nobody, so that it holds no
// capability and reaches no interface. unshare becomes what it starts. Asking
// the kernel for the same while forking would copy this process's page tables
// for each child: that was a quarter of its processor time.
func (w *Worker) isolated(command []string) []string {
	if w.isolation == ProcessOnly {
		return command
	}
	return append([]string{"unshare", "--user", "--map-user=65534", "--map-group=65534", "--net", "--ipc", "--"}, command...)
}

// judge says what the end of a child means. A job that was killed, ran out of
// something or gave too much was too complex; one that a program gave up on is
// damaged. A child that could not even start is our fault.
func judge(ctx context.Context, s spawn, out *bounded, err error) error {
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
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return policies.Refuse(policies.DocumentTooComplex, "reason", status.Signal().String())
	}
	switch code := exit.ExitCode(); {
	case code == exitProtocol, s.poppler && code >= exitNotRun:
		return fmt.Errorf("running a document worker: %w", err)
	case !s.poppler: // the Go runtime gave up
		return policies.Refuse(policies.DocumentTooComplex, "reason", "memory or stack")
	case code == exitRange:
		return policies.Refuse(policies.NotFound)
	default:
		return policies.Refuse(policies.DocumentDamaged, "reason", fmt.Sprintf("not drawn: status %d", code))
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
