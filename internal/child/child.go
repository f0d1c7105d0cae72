// Package child runs the processes that this one is answerable for. A child
// never outlives its parent, not even a parent that was killed: the kernel
// sends it a signal when the thread that started it is gone.
package child

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
)

// Process is a started child.
type Process struct {
	// PID is its process id, and the id of its process group.
	PID  int
	done chan struct{}
	err  error
}

// Start starts cmd in a process group of its own, so that a Ctrl-C typed at the
// terminal reaches the parent alone, which then decides the order in which
// things stop. Orphaned is what the child gets if the parent dies first.
func Start(cmd *exec.Cmd, orphaned syscall.Signal) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = orphaned

	p := &Process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(p.done)
		// The signal follows the death of the thread, not of the process
		// (prctl(2), PR_SET_PDEATHSIG), and Go ends idle threads: this one
		// stays here until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.PID = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended, nil for exit status 0. Call it after Done.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Stop sends sig and waits for the end. When ctx ends first, the process and
// its whole group are killed. Stopping what has already ended is no error.
func (p *Process) Stop(ctx context.Context, sig syscall.Signal) {
	select {
	case <-p.done:
		return
	default:
	}
	// An error means that it ended between the two lines.
	_ = syscall.Kill(p.PID, sig)
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = syscall.Kill(-p.PID, syscall.SIGKILL)
		<-p.done
	}
}
