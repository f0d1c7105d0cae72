package child_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/child"
)

// TestMain lets this binary be a parent that a test can kill.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "parent" {
		p, err := child.Start(exec.Command("sleep", "600"), syscall.SIGTERM)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(p.PID)
		<-p.Done()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(program, "parent")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("reading the child's id: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // "signal: killed"
	for deadline := time.Now().Add(10 * time.Second); alive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlives its parent", pid)
		}
	}
}

// alive is false for a zombie that nobody collects.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && len(text) > 0
}

func TestStop(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"willing":   "exec sleep 600",
		"unwilling": "trap '' TERM; sleep 600 & wait; wait; sleep 600",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := child.Start(exec.Command("sh", "-c", script), syscall.SIGKILL)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // for the trap to be set
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			p.Stop(ctx, syscall.SIGTERM)
			if _, ok := errors.AsType[*exec.ExitError](p.Err()); !ok {
				t.Errorf("got %v, want it ended by a signal", p.Err())
			}
			p.Stop(ctx, syscall.SIGTERM) // again is no harm
		})
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	if _, err := child.Start(exec.Command("/nonexistent"), syscall.SIGKILL); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}
