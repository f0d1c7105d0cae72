// Package pkijs asks pkijs, which shares no code with Go's libraries, with ours
// nor with BouncyCastle, about CAdES signatures. It is for tests only.
//
// The modules that its package-lock.json names are installed once, by npm, into
// the cache directory of whoever runs the tests. One Node serves a whole test
// binary; checks from tests that run in parallel take turns.
package pkijs

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"testing" //nolint:depguard // a helper of tests, as the packages internal/*test are
	"time"

	"github.com/rubrica-firma/rubrica/internal/npm"
)

//go:embed judge.mjs package.json package-lock.json
var sources embed.FS

// RejectedError is the no of pkijs.
type RejectedError struct{ Reason string }

func (r *RejectedError) Error() string { return "pkijs rejects: " + r.Reason }

// Signer is what a signature has: the times of its time-stamps.
type Signer struct{ Signature, Archive []time.Time }

// Signatures checks all signatures of a SignedData, attached if content is nil:
// value and content, the path to root of signers and time-stamping authorities,
// the signature-time-stamps, and the archive-time-stamp-v3, whose imprint and
// index it computes from their octets (EN 319 122-1, 5.5). It gives a
// *RejectedError where pkijs says no; where it cannot be asked, the test fails.
func Signatures(tb testing.TB, cms, content []byte, root *x509.Certificate) ([]Signer, error) {
	tb.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	a, err := process.ask(question{CMS: cms, Content: content, Root: root.Raw})
	if err != nil {
		tb.Fatalf("asking pkijs (apt-get install nodejs npm): %v\n%s", err, process.stderr.String())
	}
	if a.Error != "" {
		return nil, &RejectedError{Reason: a.Error}
	}
	var signers []Signer
	for _, s := range a.Signers {
		signers = append(signers, Signer{Signature: times(s.Signature), Archive: times(s.Archive)})
	}
	return signers, nil
}

func times(millis []int64) []time.Time {
	var out []time.Time
	for _, m := range millis {
		out = append(out, time.UnixMilli(m).UTC())
	}
	return out
}

type (
	question struct {
		CMS     []byte `json:"cms"`
		Content []byte `json:"content"`
		Root    []byte `json:"root"`
	}
	answer struct {
		Error   string `json:"error"`
		Signers []struct {
			Signature []int64 `json:"signature"`
			Archive   []int64 `json:"archive"`
		} `json:"signers"`
	}
)

// process is the Node of this test binary. It is started by the first question,
// and ends by itself with the binary, when its input closes.
var process node

type node struct {
	mu     sync.Mutex
	err    error // why there is none
	cmd    *exec.Cmd
	in     io.Writer
	out    *bufio.Reader
	stderr bytes.Buffer // read only after the process has ended
}

func (n *node) ask(q question) (answer, error) {
	if n.err == nil && n.cmd == nil {
		n.err = n.start()
	}
	if n.err != nil {
		return answer{}, n.err
	}
	a, err := n.exchange(q)
	if err != nil { // out of step: nothing that follows could be trusted
		_ = n.cmd.Process.Kill()
		n.err = errors.Join(err, n.cmd.Wait())
		return answer{}, n.err
	}
	return a, nil
}

func (n *node) exchange(q question) (a answer, err error) {
	const patience = 2 * time.Minute // far above what an answer takes on a loaded machine
	watchdog := time.AfterFunc(patience, func() { _ = n.cmd.Process.Kill() })
	defer watchdog.Stop()
	if err := json.NewEncoder(n.in).Encode(q); err != nil {
		return a, fmt.Errorf("asking: %w", err)
	}
	line, err := n.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("reading the answer: %w", err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, fmt.Errorf("reading the answer %q: %w", line, err)
	}
	return a, nil
}

func (n *node) start() error {
	dir, err := npm.Install("pkijs", sources)
	if err != nil {
		return err
	}
	cmd := exec.Command("node", filepath.Join(dir, "judge.mjs")) //nolint:noctx // lives as long as the test binary
	cmd.Stderr = &n.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("opening its input: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("opening its output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting Node: %w", err)
	}
	n.cmd, n.in, n.out = cmd, in, bufio.NewReader(out)
	return nil
}
