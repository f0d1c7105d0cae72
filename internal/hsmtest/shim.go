package hsmtest

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/hsm"
)

//go:embed testdata/shim.c
var shimSource []byte

// Faults scripts what goes wrong between a process and the module below a shim.
// Each method replaces what was said of the same function before.
type Faults struct {
	tb     testing.TB
	module string

	mu      sync.Mutex
	rules   []rule
	written int
}

// rule is one line of the shim's file.
type rule struct {
	function  string
	mechanism int64
	ckr       uint
	pause     time.Duration
	times     int
}

const (
	anyMechanism    = -1
	forEver         = -1
	untilInitialise = -2
)

// Shim puts a module of its own between the test, its child processes as well,
// and the module of config: it forwards every call, unless Faults says otherwise.
func Shim(tb testing.TB, config hsm.Config) (hsm.Config, *Faults) {
	tb.Helper()
	f := &Faults{tb: tb, module: filepath.Join(tb.TempDir(), "shim.so")}
	if err := compile(tb, config.Module, f.module); err != nil {
		tb.Fatalf("building the shim: %v", err)
	}
	config.Module = f.module
	return config, f
}

// compile makes one library for each shim: two of the same file would share
// their state within a process.
func compile(tb testing.TB, below, out string) error {
	tb.Helper()
	source := strings.TrimSuffix(out, ".so") + ".c"
	if err := os.WriteFile(source, shimSource, 0o600); err != nil {
		return fmt.Errorf("writing the source: %w", err)
	}
	cc := exec.CommandContext(tb.Context(), "cc", "-shared", "-fPIC", "-O1", fmt.Sprintf("-DMODULE=%q", below), "-o", out, source, "-ldl", "-lpthread")
	if text, err := cc.CombinedOutput(); err != nil {
		return fmt.Errorf("running the C compiler: %w\n%s", err, text)
	}
	return nil
}

// Return makes the next calls of the function, in each process, return ckr. The
// function "*" is all of them.
func (f *Faults) Return(function string, ckr uint, times int) {
	f.tb.Helper()
	f.set(rule{function: function, mechanism: anyMechanism, ckr: ckr, times: times})
}

// ReturnAlways makes the function return ckr until it is told otherwise.
func (f *Faults) ReturnAlways(function string, ckr uint) {
	f.tb.Helper()
	f.set(rule{function: function, mechanism: anyMechanism, ckr: ckr, times: forEver})
}

// ReturnUntilInitialise makes the function return ckr until the process calls
// C_Initialize anew.
func (f *Faults) ReturnUntilInitialise(function string, ckr uint) {
	f.tb.Helper()
	f.set(rule{function: function, mechanism: anyMechanism, ckr: ckr, times: untilInitialise})
}

// Hang makes the next call of the function take so much longer, in each process.
func (f *Faults) Hang(function string, d time.Duration) {
	f.tb.Helper()
	f.set(rule{function: function, mechanism: anyMechanism, pause: d, times: 1})
}

// TakeAway makes the function refuse a mechanism.
func (f *Faults) TakeAway(function string, mechanism uint) {
	f.tb.Helper()
	f.set(rule{function: function, mechanism: int64(mechanism), ckr: 0x70, times: forEver}) //nolint:gosec // CKM_… have 32 bits
}

// Clear ends all faults.
func (f *Faults) Clear() {
	f.tb.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
	f.write()
}

// Fired counts the faults that have happened so far, in all processes: a test
// in which none did has shown nothing.
func (f *Faults) Fired() int {
	f.tb.Helper()
	info, err := os.Stat(f.module + ".fired")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		f.tb.Fatalf("counting faults: %v", err)
	}
	return int(info.Size())
}

func (f *Faults) set(r rule) {
	f.tb.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.rules {
		if f.rules[i].function == r.function && f.rules[i].mechanism == r.mechanism {
			f.rules[i] = r
			f.write()
			return
		}
	}
	f.rules = append(f.rules, r)
	f.write()
}

// write replaces the file at once, so that no process reads half of it.
func (f *Faults) write() {
	f.tb.Helper()
	var text strings.Builder
	for _, r := range f.rules {
		fmt.Fprintf(&text, "%s %d %#x %d %d\n", r.function, r.mechanism, r.ckr, r.pause.Milliseconds(), r.times)
	}
	// Clocks and inode numbers may repeat within moments: the length tells the
	// shim that the file is another.
	f.written++
	text.WriteString(strings.Repeat("\n", f.written%100))
	path := f.module + ".faults"
	if err := os.WriteFile(path+".new", []byte(text.String()), 0o644); err != nil { //nolint:gosec // for processes of other users, too
		f.tb.Fatalf("writing the faults: %v", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.tb.Fatalf("writing the faults: %v", err)
	}
}
