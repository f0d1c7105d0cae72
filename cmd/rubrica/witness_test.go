package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// history is a log of a test: roots and proofs of each size.
type history struct {
	signer note.Signer
	vkey   string
	hashes map[int64]tlog.Hash
}

func newHistory(t *testing.T, name string) *history {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return &history{signer, vkey, map[int64]tlog.Hash{}}
}

// ReadHashes implements tlog.HashReader.
func (h *history) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var read []tlog.Hash
	for _, i := range indexes {
		read = append(read, h.hashes[i])
	}
	return read, nil
}

// grow is the log with entries, of which the first are common to all.
func (h *history) grow(t *testing.T, n, common int64, what string) *history {
	t.Helper()
	grown := &history{h.signer, h.vkey, map[int64]tlog.Hash{}}
	for i := range n {
		entry := fmt.Sprint(what, i)
		if i < common {
			entry = fmt.Sprint("common ", i)
		}
		stored, err := tlog.StoredHashes(i, []byte(entry), grown)
		if err != nil {
			t.Fatal(err)
		}
		for j, hash := range stored {
			grown.hashes[tlog.StoredHashIndex(0, i)+int64(j)] = hash
		}
	}
	return grown
}

func (h *history) checkpoint(t *testing.T, n int64) torchwood.Checkpoint {
	t.Helper()
	root, err := tlog.TreeHash(n, h)
	if err != nil {
		t.Fatal(err)
	}
	return torchwood.Checkpoint{Origin: h.signer.Name(), N: n, Hash: root}
}

// request is the body of an add-checkpoint.
func (h *history) request(t *testing.T, old, n int64) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", old)
	if old > 0 && old < n {
		proof, err := tlog.ProveTree(n, old, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, hash := range proof {
			fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(hash[:]))
		}
	}
	signed, err := note.Sign(&note.Note{Text: h.checkpoint(t, n).String()}, h.signer)
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n" + string(signed)
}

// theWitness is a directory, and the program that works there.
type theWitness struct {
	dir, logs, vkey string
	settings        []string
	client          *http.Client
}

// runWitness runs a command to its end.
func runWitness(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := witnessCommand(t, args...)
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func witnessCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, append([]string{"witness"}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

func newTheWitness(t *testing.T, vkeys ...string) *theWitness {
	t.Helper()
	w := &theWitness{dir: filepath.Join(t.TempDir(), "w"), logs: filepath.Join(t.TempDir(), "logs"), client: http.DefaultClient}
	out, status := runWitness(t, "init", "--dir", w.dir, "--name", "witness.example.es/w1")
	if status != 0 {
		t.Fatalf("init: got exit status %d: %s", status, out)
	}
	w.vkey = strings.Fields(out)[2]
	w.watch(t, vkeys...)
	return w
}

func (w *theWitness) watch(t *testing.T, vkeys ...string) {
	t.Helper()
	if err := os.WriteFile(w.logs, []byte("log "+strings.Join(vkeys, "\nlog ")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// process is a witness that serves.
type process struct {
	*exec.Cmd

	address string
	out     *bufio.Reader
}

func (w *theWitness) serve(t *testing.T) *process {
	t.Helper()
	cmd := witnessCommand(t, append([]string{"serve", "--dir", w.dir, "--logs", w.logs, "--listen", "127.0.0.1:0", "--rate", "1000000"}, w.settings...)...)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: cmd, out: bufio.NewReader(out)}
	started := p.until(t, " witness_started listen=")
	p.address, _, _ = strings.Cut(started, " ")
	return p
}

// until reads the program's log up to a message, and returns what follows it.
func (p *process) until(t *testing.T, message string) string {
	t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %s: %q, %v", message, line, err)
		}
		if _, rest, found := strings.Cut(line, message); found {
			return rest
		}
	}
}

// kill ends the program without a word.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // killed, it says
}

// post gives an answer, or none: the program may be dead.
func (w *theWitness) post(ctx context.Context, p *process, body string) (int, string) {
	scheme := "http://"
	if len(w.settings) > 0 {
		scheme = "https://"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+p.address+"/add-checkpoint", strings.NewReader(body))
	if err != nil {
		return 0, ""
	}
	response, err := w.client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(content)
}

// TestWitnessInit prints a line that others read, and never makes a witness
// twice.
func TestWitnessInit(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "w")
	init := []string{"init", "--dir", dir, "--name", "witness.example.es/w1", "--url", "https://witness.example.es"}
	out, status := runWitness(t, init...)
	if status != 0 || !strings.HasSuffix(out, " https://witness.example.es\n") {
		t.Fatalf("got exit status %d and %q, want a line of a policy", status, out)
	}
	if _, err := torchwood.ParsePolicy([]byte(out + "quorum witness.example.es/w1\n")); err != nil {
		t.Errorf("got %q (%v), want a line of a policy", out, err)
	}
	key, err := os.Stat(filepath.Join(dir, "key"))
	if err != nil || key.Mode().Perm() != 0o600 {
		t.Errorf("got key %v (%v), want -rw-------", key.Mode(), err)
	}
	if out, status := runWitness(t, init...); status != 1 || !strings.Contains(out, "there is a witness already") {
		t.Errorf("again: got exit status %d and %q, want 1", status, out)
	}
	if out, status := runWitness(t, "status", "--dir", dir); status != 0 || !strings.Contains(out, "witness.example.es/w1+") {
		t.Errorf("status: got %d and %q, want 0 and the verifier key", status, out)
	}
	if out, status := runWitness(t, "serve", "--dir", dir, "--logs", filepath.Join(dir, "nothing")); status != 1 || !strings.Contains(out, "list of logs") {
		t.Errorf("without logs: got %d and %q, want 1", status, out)
	}
}

// TestWitnessKilled kills the program again and again, in the middle of
// submissions of two futures of one log. Of what it ever gave away, nothing may
// contradict the rest.
func TestWitnessKilled(t *testing.T) {
	t.Parallel()
	const rounds, sides, size, common = 12, 8, 400, 3
	trunk := newHistory(t, "firma.example.es/log")
	futures := []*history{trunk.grow(t, size, common, "left "), trunk.grow(t, size, common, "right ")}
	w := newTheWitness(t, trunk.vkey)
	var (
		mu      sync.Mutex
		given   []string // notes
		largest = []int64{0, 0}
	)
	for range rounds {
		p := w.serve(t)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for side := range sides {
			group.Go(func() {
				future, old := side%2, int64(0)
				for ctx.Err() == nil {
					n := min(size, old+1+mathrand.Int64N(3))
					status, body := w.post(ctx, p, futures[future].request(t, old, n))
					switch status {
					case http.StatusOK:
						mu.Lock()
						given = append(given, futures[future].checkpoint(t, n).String()+"\n"+body)
						largest[future] = max(largest[future], n)
						mu.Unlock()
						old = n
					case http.StatusConflict:
						old, _ = strconv.ParseInt(strings.TrimSpace(body), 10, 64)
						old = min(old, size-1)
					case 0, http.StatusUnprocessableEntity:
					default:
						t.Errorf("got %d %q", status, body)
					}
				}
			})
		}
		time.Sleep(time.Duration(20+mathrand.IntN(200)) * time.Millisecond)
		p.kill(t)
		cancel()
		group.Wait()
	}
	if len(given) < rounds {
		t.Errorf("got %d cosignatures in %d rounds, want more", len(given), rounds)
	}
	verifier, err := torchwood.NewCosignatureVerifier(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	past := 0 // the future that came true
	if largest[1] > largest[0] {
		past = 1
	}
	for _, signed := range given {
		opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
		if err != nil {
			t.Fatalf("%q: %v", signed, err)
		}
		c, err := torchwood.ParseCheckpoint(opened.Text)
		if err != nil || c != futures[past].checkpoint(t, c.N) {
			t.Errorf("got %v cosigned (%v), which is of another past", c, err)
		}
	}
	p := w.serve(t)
	defer p.kill(t)
	status, body := w.post(t.Context(), p, futures[past].request(t, 0, size))
	if held, err := strconv.ParseInt(strings.TrimSpace(body), 10, 64); status != http.StatusConflict || err != nil || held < largest[past] {
		t.Errorf("got %d %q, want a conflict with %d entries at least, which were cosigned", status, body, largest[past])
	}
}

// TestWitnessReload takes another log, and keeps what it had when the file is
// none.
func TestWitnessReload(t *testing.T) {
	t.Parallel()
	first, second := newHistory(t, "first.example/log").grow(t, 3, 0, "e"), newHistory(t, "second.example/log").grow(t, 3, 0, "e")
	w := newTheWitness(t, first.vkey)
	p := w.serve(t)
	defer p.kill(t)
	want := func(name string, l *history, status int) {
		t.Helper()
		if got, body := w.post(t.Context(), p, l.request(t, 0, 0)); got != status {
			t.Errorf("%s: got %d %q, want %d", name, got, body, status)
		}
	}
	hangUp := func(message string) {
		t.Helper()
		if err := p.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		p.until(t, message)
	}
	want("the first log", first, 200)
	want("the second, unknown", second, 404)
	w.watch(t, first.vkey, second.vkey)
	hangUp("witness_reloaded")
	want("the second, known", second, 200)
	w.watch(t, "nonsense")
	hangUp("witness_not_reloaded")
	want("the second, the file spoilt", second, 200)
	if out, status := runWitness(t, "serve", "--dir", w.dir, "--logs", w.logs); status != 1 {
		t.Errorf("a start with that file: got %d and %q, want 1", status, out)
	}
	w.watch(t, first.vkey)
	if out, status := runWitness(t, "serve", "--dir", w.dir, "--logs", w.logs); status != 1 || !strings.Contains(out, "another process") {
		t.Errorf("a second process: got %d and %q, want 1", status, out)
	}
}

// TestWitnessStatus says by its exit status that a log has forked.
func TestWitnessStatus(t *testing.T) {
	t.Parallel()
	trunk := newHistory(t, "firma.example.es/log")
	left, right := trunk.grow(t, 9, 3, "left"), trunk.grow(t, 9, 3, "right")
	w := newTheWitness(t, trunk.vkey)
	p := w.serve(t)
	defer p.kill(t)
	if status, body := w.post(t.Context(), p, left.request(t, 0, 5)); status != 200 {
		t.Fatalf("got %d %q, want 200", status, body)
	}
	if out, status := runWitness(t, "status", "--dir", w.dir); status != 0 || !strings.Contains(out, "firma.example.es/log  5") {
		t.Errorf("got exit status %d and %q, want 0 and five entries", status, out)
	}
	if status, body := w.post(t.Context(), p, right.request(t, 5, 9)); status != 422 {
		t.Errorf("got %d %q, want 422", status, body)
	}
	p.until(t, "log_forked")
	if out, status := runWitness(t, "status", "--dir", w.dir); status != 1 || !strings.Contains(out, "forks/fork-") {
		t.Errorf("got exit status %d and %q, want 1 and where the evidence is", status, out)
	}
}

// TestWitnessTLS serves without a proxy before it.
func TestWitnessTLS(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	l := newHistory(t, "firma.example.es/log").grow(t, 3, 0, "e")
	w := newTheWitness(t, l.vkey)
	if out, status := runWitness(t, "serve", "--dir", w.dir, "--logs", w.logs, "--tls-certificate", certificate); status != 1 || !strings.Contains(out, "go together") {
		t.Errorf("without the key: got %d and %q, want 1", status, out)
	}
	w.settings = []string{"--tls-certificate", certificate, "--tls-key", key}
	roots := x509.NewCertPool()
	encoded, err := os.ReadFile(certificate)
	if err != nil || !roots.AppendCertsFromPEM(encoded) {
		t.Fatalf("reading the certificate: %v", err)
	}
	w.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	p := w.serve(t)
	defer p.kill(t)
	if status, body := w.post(t.Context(), p, l.request(t, 0, 3)); status != 200 {
		t.Errorf("got %d %q, want 200", status, body)
	}
}

func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		var encoded bytes.Buffer
		if err := pem.Encode(&encoded, block); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), encoded.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}
