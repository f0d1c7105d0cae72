package witness

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tree is a log of a test, with all its past.
type tree struct {
	signer note.Signer
	vkey   string
	hashes hashes
	n      int64
}

type hashes map[int64]tlog.Hash

// ReadHashes implements tlog.HashReader.
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var read []tlog.Hash
	for _, i := range indexes {
		read = append(read, h[i])
	}
	return read, nil
}

const origin = "firma.example.es/log"

func newTree(tb testing.TB) *tree {
	tb.Helper()
	return newTreeOf(tb, origin)
}

func newTreeOf(tb testing.TB, origin string) *tree {
	tb.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	return &tree{signer: signer, vkey: vkey, hashes: hashes{}}
}

// grow adds entries until there are n. Branches grow apart by what they write.
func (l *tree) grow(tb testing.TB, n int64, what string) *tree {
	tb.Helper()
	for ; l.n < n; l.n++ {
		stored, err := tlog.StoredHashes(l.n, fmt.Appendf(nil, "%s %d", what, l.n), l.hashes)
		if err != nil {
			tb.Fatal(err)
		}
		first := tlog.StoredHashIndex(0, l.n)
		for i, h := range stored {
			l.hashes[first+int64(i)] = h
		}
	}
	return l
}

// branch is another future of the same log.
func (l *tree) branch() *tree {
	return &tree{signer: l.signer, vkey: l.vkey, hashes: maps.Clone(l.hashes), n: l.n}
}

func (l *tree) checkpoint(tb testing.TB, n int64) torchwood.Checkpoint {
	tb.Helper()
	root, err := tlog.TreeHash(n, l.hashes)
	if err != nil {
		tb.Fatal(err)
	}
	return torchwood.Checkpoint{Origin: l.signer.Name(), N: n, Hash: root}
}

func (l *tree) sign(tb testing.TB, c torchwood.Checkpoint) []byte {
	tb.Helper()
	signed, err := note.Sign(&note.Note{Text: c.String()}, l.signer)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

func (l *tree) proof(tb testing.TB, old, n int64) []tlog.Hash {
	tb.Helper()
	if old == 0 || old >= n {
		return nil
	}
	proof, err := tlog.ProveTree(n, old, l.hashes)
	if err != nil {
		tb.Fatal(err)
	}
	return proof
}

// request leads from one size to another.
func (l *tree) request(tb testing.TB, old, n int64) Request {
	tb.Helper()
	return parse(tb, Request{OldSize: old, Proof: l.proof(tb, old, n), Note: l.sign(tb, l.checkpoint(tb, n))})
}

// parse is the request as it arrives.
func parse(tb testing.TB, r Request) Request {
	tb.Helper()
	parsed, err := ParseRequest([]byte(r.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return parsed
}

func (l *tree) logs(tb testing.TB) Logs {
	tb.Helper()
	logs, err := ParseLogs([]byte("log " + l.vkey + "\n"))
	if err != nil {
		tb.Fatal(err)
	}
	return logs
}

// clock says each second once.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
	return c.now
}

// lines is a log file that is read.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const witnessName = "witness.example.es/w1"

// bench is a witness of one log.
type bench struct {
	*Witness

	config Config
	said   *lines
	tree   *tree
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	return newBenchOf(tb, tb.TempDir())
}

func newBenchOf(tb testing.TB, dir string) *bench {
	tb.Helper()
	if _, err := Init(dir, witnessName); err != nil {
		tb.Fatal(err)
	}
	b := &bench{tree: newTree(tb), said: &lines{}}
	b.config = Config{Dir: dir, Logs: b.tree.logs(tb), Now: newClock().Now, Logger: slog.New(slog.NewJSONHandler(b.said, nil))}
	b.open(tb)
	return b
}

func (b *bench) open(tb testing.TB) {
	tb.Helper()
	w, err := Open(b.config)
	if err != nil {
		tb.Fatal(err)
	}
	b.Witness = w
	tb.Cleanup(func() { _ = w.Close() })
}

// again is the witness after its process has ended and begun.
func (b *bench) again(tb testing.TB) {
	tb.Helper()
	if err := b.Close(); err != nil {
		tb.Fatal(err)
	}
	b.open(tb)
}

// verified is when a line cosigned a checkpoint.
func (b *bench) verified(tb testing.TB, c torchwood.Checkpoint, line string) time.Time {
	tb.Helper()
	return verifyLine(tb, b.VerifierKey(), c, line)
}

func verifyLine(tb testing.TB, vkey string, c torchwood.Checkpoint, line string) time.Time {
	tb.Helper()
	verifier, err := torchwood.NewCosignatureVerifier(vkey)
	if err != nil {
		tb.Fatal(err)
	}
	opened, err := note.Open([]byte(c.String()+"\n"+line), note.VerifierList(verifier))
	if err != nil {
		tb.Fatalf("cosignature %q of %q: %v", line, c, err)
	}
	seconds, err := torchwood.CosignatureTimestamp(opened.Sigs[0])
	if err != nil {
		tb.Fatal(err)
	}
	return time.Unix(seconds, 0)
}
