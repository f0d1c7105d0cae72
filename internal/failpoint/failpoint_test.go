package failpoint_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/failpoint"
)

// TestMain is also a process with a hook: it comes to each step that it is given
// and prints it.
func TestMain(m *testing.M) {
	file := os.Getenv(failpoint.Variable)
	if file == "" {
		os.Exit(m.Run())
	}
	hook := failpoint.Hook("signer", file)
	for _, step := range os.Args[1:] {
		hook(step)
		fmt.Println(step)
	}
}

func TestHook(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		process, step string
		nth           int
		printed       []string
		dies          bool
	}{
		"first":           {"signer", "sign/intended", 1, []string{"code/sent"}, true},
		"second":          {"signer", "sign/intended", 2, []string{"code/sent", "sign/intended"}, true},
		"third":           {"signer", "sign/intended", 3, []string{"code/sent", "sign/intended", "sign/intended"}, false},
		"another step":    {"signer", "sign/done", 1, []string{"code/sent", "sign/intended", "sign/intended"}, false},
		"another process": {"api", "consent/given", 1, []string{"code/sent", "sign/intended", "sign/intended"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "armed")
			if err := failpoint.Arm(file, test.process, test.step, test.nth); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(failpoint.Trace(file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "code/sent", "sign/intended", "sign/intended")
			cmd.Env = append(os.Environ(), failpoint.Variable+"="+file)
			output, err := cmd.Output()
			if diff := cmp.Diff(test.printed, strings.Fields(string(output))); diff != "" {
				t.Errorf("steps passed (-want +got):\n%s", diff)
			}
			exit, _ := errors.AsType[*exec.ExitError](err)
			if died := exit != nil && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL; died != test.dies { //nolint:errcheck // it is one
				t.Errorf("got %v, want the process killed: %v", err, test.dies)
			}
			if got := failpoint.Armed(file); got == test.dies {
				t.Errorf("got armed %v after death %v", got, test.dies)
			}
			came := len(test.printed)
			if test.dies {
				came++
			}
			trace, err := os.ReadFile(failpoint.Trace(file))
			if got := strings.Count(string(trace), "signer "); err != nil || got != came {
				t.Errorf("got %d steps traced, want %d: %v", got, came, err)
			}
		})
	}
}

func TestArmKnowsTheSteps(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "armed")
	for _, point := range [][2]string{{"signer", "sign/never"}, {"api", "sign/done"}, {"", ""}} {
		if err := failpoint.Arm(file, point[0], point[1], 1); err == nil || failpoint.Armed(file) {
			t.Errorf("got %v, want no step %s of %q", err, point[1], point[0])
		}
	}
}

// TestNotInTheProgram asks what the program is made of.
func TestNotInTheProgram(t *testing.T) {
	t.Parallel()
	for tags, want := range map[string]bool{"": false, "failpoints": true} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tags, "../../cmd/rubrica").Output()
		if err != nil {
			t.Fatalf("listing what the program is made of: %v", err)
		}
		if got := strings.Contains(string(out), "/internal/failpoint\n"); got != want {
			t.Errorf("got failpoints with the tags %q: %v, want %v", tags, got, want)
		}
	}
}
