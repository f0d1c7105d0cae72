package witness

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// policy demands the log and the witness.
func policy(vkey, witness, address string) []byte {
	return []byte("log " + vkey + "\nwitness w " + witness + " " + address + "\nquorum w\n")
}

// TestForeignVerifiers lets two implementations judge a cosigned checkpoint.
func TestForeignVerifiers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.tree.grow(t, 20, "entry")
	if _, err := b.Add(t.Context(), l.request(t, 0, 20)); err != nil {
		t.Fatal(err)
	}
	signed, _ := b.Checkpoint(OriginHash(origin))
	strict, err := torchwood.ParsePolicy(policy(l.vkey, b.VerifierKey(), ""))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := torchwood.VerifyCheckpoint(signed, strict); err != nil || got != l.checkpoint(t, 20) {
		t.Errorf("torchwood: got %v, %v, want the checkpoint", got, err)
	}
	if _, _, err := torchwood.VerifyCheckpoint(l.sign(t, l.checkpoint(t, 20)), strict); err == nil {
		t.Error("torchwood takes one that nobody cosigned")
	}
	verifier, err := fnote.NewVerifierForCosignatureV1(b.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := note.Open(signed, note.VerifierList(verifier)); err != nil || len(opened.Sigs) != 1 {
		t.Errorf("transparency-dev: got %v, want the witness's signature", err)
	}
	other := strings.Replace(string(signed), "\n20\n", "\n21\n", 1)
	if _, err := note.Open([]byte(other), note.VerifierList(verifier)); err == nil {
		t.Error("transparency-dev takes another checkpoint")
	}
}

// TestForeignKey lets another witness's code read the key, and cosign with it.
func TestForeignKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	skey, err := os.ReadFile(filepath.Join(b.config.Dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := fnote.NewSignerForCosignatureV1(strings.TrimSpace(string(skey)))
	if err != nil {
		t.Fatal(err)
	}
	c := b.tree.checkpoint(t, 0)
	signed, err := note.Sign(&note.Note{Text: c.String()}, signer)
	if err != nil {
		t.Fatal(err)
	}
	b.verified(t, c, strings.TrimPrefix(string(signed), c.String()+"\n"))
}

// TestForeignLog runs a Tessera log that publishes no checkpoint without this
// witness: its client sizes the witness up, sends proofs and takes cosignatures.
func TestForeignLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := b.serve(t)
	prefix, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	one, err := tessera.NewWitness(b.VerifierKey(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	strict, err := torchwood.ParsePolicy(policy(b.tree.vkey, b.VerifierKey(), server.URL))
	if err != nil {
		t.Fatal(err)
	}
	published := int64(0)
	for range 3 { // each a process of its own, which has to ask for the size
		log := startTessera(t, dir, b.tree.signer, tessera.NewWitnessGroup(1, one))
		for range 5 {
			log.add(t)
			c, _, err := torchwood.VerifyCheckpoint(log.checkpoint(t), strict)
			if err != nil || c.N <= published {
				t.Errorf("got %v (%v), want a witnessed checkpoint of more than %d entries", c, err, published)
			}
			published = c.N
		}
		log.stop(t)
	}
	if got := b.Report(); got.Logs[0].Size != published || got.Forks+got.Unproven != 0 {
		t.Errorf("got %+v, want %d entries and no evidence", got, published)
	}

	// The same log with another past: the witness lets none of it be published.
	dir = t.TempDir()
	fork := startTessera(t, dir, b.tree.signer, tessera.NewWitnessGroup(0))
	for range published + 3 {
		fork.add(t)
	}
	fork.stop(t)
	before := fork.checkpoint(t)
	fork = startTessera(t, dir, b.tree.signer, tessera.NewWitnessGroup(1, one))
	fork.append(t, "another past")
	eventually(t, "evidence", func() bool { return b.Report().Forks > 0 })
	fork.stop(t)
	if got := fork.checkpoint(t); !bytes.Equal(got, before) {
		t.Errorf("got %s published, want nothing after %s", got, before)
	}
}

// tesseraLog is a log of another make.
type tesseraLog struct {
	appender *tessera.Appender
	shutdown func(context.Context) error
	reader   tessera.LogReader
	cancel   func()
	entries  int
}

func startTessera(t *testing.T, dir string, signer note.Signer, witnesses tessera.WitnessGroup) *tesseraLog {
	t.Helper()
	driver, err := posix.New(t.Context(), posix.Config{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l := &tesseraLog{cancel: cancel}
	l.appender, l.shutdown, l.reader, err = tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithBatching(1, 10*time.Millisecond).WithCheckpointInterval(100*time.Millisecond).
		WithWitnesses(witnesses, &tessera.WitnessOptions{Timeout: 5 * time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// append adds an entry, and waits until it is in the tree.
func (l *tesseraLog) append(t *testing.T, text string) uint64 {
	t.Helper()
	l.entries++
	index, err := l.appender.Add(t.Context(), tessera.NewEntry([]byte(text+strings.Repeat("!", l.entries))))()
	if err != nil {
		t.Fatal(err)
	}
	return index.Index
}

// add waits until the entry is under a published checkpoint.
func (l *tesseraLog) add(t *testing.T) {
	t.Helper()
	index := l.append(t, "entry of "+t.Name()+fmt.Sprint(time.Now().UnixNano()))
	eventually(t, "a checkpoint with the entry", func() bool {
		signed, err := l.reader.ReadCheckpoint(t.Context())
		if err != nil {
			return false
		}
		c, err := parseNote(signed)
		return err == nil && c.N > int64(index)
	})
}

func (l *tesseraLog) checkpoint(t *testing.T) []byte {
	t.Helper()
	signed, err := l.reader.ReadCheckpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (l *tesseraLog) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_ = l.shutdown(ctx) // which waits for a publication that may not come
	l.cancel()
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
