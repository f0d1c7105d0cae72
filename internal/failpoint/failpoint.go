// Package failpoint ends a process with SIGKILL at a named step of the ceremony,
// as a power cut would. It is linked into builds with the tag failpoints, of
// which the end-to-end tests kill one process after the other; a program built
// without the tag has nothing of it.
package failpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Variable names the environment variable with the path of the file that arms
// one step. Each process that is to die must be able to replace that file.
const Variable = "RUBRICA_FAILPOINTS"

// Steps are all that a process announces, in the order of a whole ceremony: what
// is between two of them and durable is what a crash can leave.
func Steps(process string) []string {
	return slices.Clone(map[string][]string{
		"api": {
			"request/stored",     // the request and its documents are; the signer does not know
			"consent/given",      // the code was posted; nothing was asked of the signer
			"consent/authorised", // the authorisation exists in this process alone
			"consent/signed",     // the signature is; the browser does not know
			"envelope/ended",     // the envelope has; whoever has not signed may still do
			"errand/done",        // the certificate is made or given up; the application was not told
			"http/answering",     // any form or call was carried out and not yet answered
		},
		"signer": {
			"identify/counted", // the attempt is; the password was not tried
			"identify/opened",  // the password was right; nobody was told
			"code/prepared",    // the code's HMAC is stored; nothing was sent
			"code/sent",        // the gateway has it; that is not recorded
			"code/counted",     // the attempt is; the code was not compared
			"issue/begun",      // code and ticket are spent
			"issue/generated",  // the key is in memory alone
			"issue/intended",   // the certificate's intent is; it was not signed
			"issue/certified",  // the certificate is in memory alone
			"issue/finished",   // key and certificate are stored; the answer was not sent
			"authorise/checked",
			"authorise/done", // the authorisation is stored; api does not have it
			"sign/redeemed",
			"sign/intended", // the consent is spent; the key was not used
			"sign/unsealed", // the key is open in the token
			"sign/signed",   // the signature is in memory alone
			"sign/done",     // it is stored; the answer was not sent
			"rpc/answering", // any call was carried out and not yet answered
		},
	}[process])
}

// Arm makes the process end when it comes to the step for the nth time from now.
// The file is gone once it does.
func Arm(file, process, step string, nth int) error {
	if !slices.Contains(Steps(process), step) {
		return fmt.Errorf("%s has no step %s", process, step)
	}
	return replace(file, fmt.Sprintln(process, step, nth))
}

// Armed reports whether the process that is to die lives.
func Armed(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// Trace names the file to which steps are added as they are announced, if it is
// there: "process step", a line each.
func Trace(file string) string { return file + ".trace" }

// Hook is what a process of that name calls with the name of each step, before
// it goes on. What keeps it from reading the file ends the process, too: a test
// must not pass because nothing happened.
func Hook(process, file string) func(step string) {
	var mu sync.Mutex
	return func(step string) {
		mu.Lock()
		defer mu.Unlock()
		if err := trace(Trace(file), process, step); err != nil {
			panic(err)
		}
		due, err := countDown(file, process, step)
		if err != nil {
			panic(err)
		}
		if due {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // nothing more is done until it arrives
		}
	}
}

// countDown reports whether this is the time, and takes the file away if it is.
func countDown(file, process, step string) (due bool, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var wantProcess, wantStep string
	var left int
	if _, scanErr := fmt.Sscanln(string(text), &wantProcess, &wantStep, &left); err != nil || scanErr != nil {
		return false, fmt.Errorf("reading a failpoint: %w", errors.Join(err, scanErr))
	}
	switch {
	case process != wantProcess || step != wantStep:
		return false, nil
	case left > 1:
		return false, replace(file, fmt.Sprintln(process, step, left-1))
	}
	if err := os.Remove(file); err != nil {
		return false, fmt.Errorf("disarming a failpoint: %w", err)
	}
	return true, nil
}

func trace(file, process, step string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tracing a step: %w", err)
	}
	_, err = f.WriteString(strings.Join([]string{process, step}, " ") + "\n")
	return errors.Join(err, f.Close())
}

// replace writes a file that processes of several users read, so that none of
// them finds half of it.
func replace(file, text string) error {
	fresh, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("arming a failpoint: %w", err)
	}
	_, err = fresh.WriteString(text)
	if err := errors.Join(err, fresh.Chmod(0o644), fresh.Close(), os.Rename(fresh.Name(), file)); err != nil {
		return fmt.Errorf("arming a failpoint: %w", err)
	}
	return nil
}
