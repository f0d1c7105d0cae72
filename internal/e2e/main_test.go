package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/chromium"
	"github.com/rubrica-firma/rubrica/internal/scratch"
)

// shared is the one environment of all tests. Those that kill its processes do
// not run in parallel: the others wait for them.
var shared *environment

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (status int) {
	ctx := context.Background()
	if err := checkPrograms(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	// The data may be in memory: processes are killed here, never the machine. A
	// program cannot be run from there where it is mounted noexec.
	programs, err := directory("")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(programs) }()
	data, err := directory(scratch.Root())
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(data) }()
	program, err := build(ctx, programs)
	if err == nil {
		shared, err = newEnvironment(program, data)
	}
	if err == nil {
		err = shared.start(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	// They mostly wait, for codes, mails and lists. What is said when they are
	// called comes after.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	status = m.Run()
	if err := errors.Join(shared.examine(ctx), shared.stop(syscall.SIGINT)); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: after the tests:", err)
		return 1
	}
	return status
}

// directory is one of the tests' own, which other users pass through.
func directory(under string) (string, error) {
	dir, err := os.MkdirTemp(under, "rubrica-e2e-")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("opening a directory: %w", err)
	}
	return dir, nil
}

// checkPrograms names what is missing with the command that installs it. What
// `up` itself needs, it says.
func checkPrograms() error {
	var missing []string
	for _, p := range []struct{ pkg, program string }{
		{"chromium", chromium.Name()}, {"poppler-utils", "pdfsig"}, {"poppler-utils", "pdftoppm"}, {"openssl", "openssl"}, {"qpdf", "qpdf"},
	} {
		if _, err := exec.LookPath(p.program); err != nil {
			missing = append(missing, p.pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("programs are missing: sudo apt-get install -y %s", strings.Join(slices.Compact(missing), " "))
}

// root is the top of the source tree.
func root() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "rubrica")
	top, err := root()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", program, "./cmd/rubrica")
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building rubrica: %w\n%s", err, out)
	}
	return program, nil
}
