// Package audittest makes signature logs for tests: in memory, with a key of the
// log, two witnesses and a time-stamping authority, and as the files that a log
// serves.
package audittest

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
)

// Origin is the name of a log, unless the test gives it another.
const Origin = "firma.example.es/log"

// Log is a log in memory. It implements audit.Tx and audit.HashReader.
type Log struct {
	Origin  string
	Records []audit.Record
	Clock   time.Time

	head      audit.Head
	hashes    []tlog.Hash
	key       ed25519.PrivateKey
	witnesses []*Witness
}

// New is an empty log.
func New(tb testing.TB) *Log {
	tb.Helper()
	return &Log{
		Origin: Origin, Clock: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), key: newKey(tb),
		witnesses: []*Witness{NewWitness(tb, "w1"), NewWitness(tb, "w2")},
	}
}

func newKey(tb testing.TB) ed25519.PrivateKey {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Twin is a log of the same key and witnesses' keys that forgot its entries: what
// whoever holds all of them can make.
func (l *Log) Twin() *Log {
	return &Log{Origin: l.Origin, Clock: l.Clock, key: l.key, witnesses: l.witnesses}
}

// Now implements audit.Tx.
func (l *Log) Now() time.Time { return l.Clock }

// LockHead implements audit.Tx.
func (l *Log) LockHead(context.Context) (audit.Head, error) { return l.head, nil }

// Write implements audit.Tx.
func (l *Log) Write(_ context.Context, next audit.Head, records []audit.Record) error {
	l.head = next
	for _, r := range records {
		l.Records = append(l.Records, r)
		l.hashes = append(l.hashes, r.Hashes...)
	}
	return nil
}

// ReadHashes implements audit.HashReader.
func (l *Log) ReadHashes(_ context.Context, indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(l.hashes)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		hashes[i] = l.hashes[index]
	}
	return hashes, nil
}

// Append adds entries.
func (l *Log) Append(tb testing.TB, entries ...audit.Entry) {
	tb.Helper()
	if _, err := audit.Append(tb.Context(), l, entries...); err != nil {
		tb.Fatalf("appending: %v", err)
	}
}

// Fill appends n entries, a second apart.
func (l *Log) Fill(tb testing.TB, n int) *Log {
	tb.Helper()
	for range n {
		l.Append(tb, l.Entry(audit.CodeSent, fmt.Sprintf("R-%d", l.Size()), nil))
		l.Clock = l.Clock.Add(time.Second)
	}
	return l
}

// Entry is one that may be appended now, with what its schema requires and more.
func (l *Log) Entry(kind audit.EventType, operation string, more map[string]any) audit.Entry {
	schema, _ := audit.SchemaOf(kind)
	payload := schema.Example()
	maps.Copy(payload, more)
	return audit.Entry{Type: kind, Operation: operation, At: l.Clock, Person: "12345678Z", Payload: payload}
}

// Size is the number of entries.
func (l *Log) Size() int64 { return int64(len(l.Records)) }

// Tree is the log at a size.
func (l *Log) Tree(tb testing.TB, size int64) audit.Tree {
	tb.Helper()
	tree, err := audit.TreeHash(tb.Context(), size, l)
	if err != nil {
		tb.Fatal(err)
	}
	return tree
}

// Key is the log's key under its name.
func (l *Log) Key(tb testing.TB) *audit.LogKey {
	tb.Helper()
	key, err := audit.NewLogKey(l.Origin, l.key)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Policy believes the log with both witnesses.
func (l *Log) Policy(tb testing.TB) audit.Policy {
	tb.Helper()
	text := fmt.Appendf(nil, "log %s\n", l.Key(tb).VerifierKey())
	for _, w := range l.witnesses {
		text = fmt.Appendf(text, "witness %s %s\n", w.Name, w.VerifierKey(tb))
	}
	policy, err := audit.ParsePolicy(append(text, "group both all w1 w2\nquorum both\n"...))
	if err != nil {
		tb.Fatal(err)
	}
	return policy
}

// Signed is the checkpoint at a size with the log's signature alone.
func (l *Log) Signed(tb testing.TB, size int64) []byte {
	tb.Helper()
	signed, err := l.Key(tb).Sign(audit.Checkpoint{Origin: l.Origin, Tree: l.Tree(tb, size)})
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// Witnessed is the checkpoint at a size, cosigned by both witnesses.
func (l *Log) Witnessed(tb testing.TB, size int64) []byte {
	tb.Helper()
	signed := l.Signed(tb, size)
	for i, w := range l.witnesses {
		signed = append(signed, w.Cosign(tb, signed, l.Clock.Add(time.Duration(i)*time.Second))...)
	}
	return signed
}

// Files are what the log serves at a size, by path below /log/.
func (l *Log) Files(tb testing.TB, size int64) map[string][]byte {
	tb.Helper()
	files := map[string][]byte{"checkpoint": l.Witnessed(tb, size)}
	for _, t := range audit.Tiles(0, size) {
		var data []byte
		var err error
		if t.L < 0 {
			from, to, rangeErr := audit.BundleRange(size, t)
			if rangeErr != nil {
				tb.Fatal(rangeErr)
			}
			var leaves [][]byte
			for _, r := range l.Records[from:to] {
				leaves = append(leaves, r.Leaf)
			}
			data, err = audit.Bundle(leaves)
		} else {
			data, err = audit.Tile(tb.Context(), size, t, l)
		}
		if err != nil {
			tb.Fatal(err)
		}
		files[torchwood.TilePath(t)] = data
	}
	return files
}

// Write puts files into a directory.
func Write(tb testing.TB, dir string, files map[string][]byte) {
	tb.Helper()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// Witness cosigns whatever it is given.
type Witness struct {
	Name string

	key ed25519.PrivateKey
}

// NewWitness makes one.
func NewWitness(tb testing.TB, name string) *Witness {
	tb.Helper()
	return &Witness{Name: name, key: newKey(tb)}
}

func (w *Witness) signer(tb testing.TB) *torchwood.CosignatureSigner {
	tb.Helper()
	signer, err := torchwood.NewCosignatureSigner("witness.example/"+w.Name, w.key)
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// VerifierKey is the witness's.
func (w *Witness) VerifierKey(tb testing.TB) string {
	tb.Helper()
	return w.signer(tb).Verifier().String()
}

// Cosign is the signature line of a signed note at a time (C2SP
// tlog-cosignature).
func (w *Witness) Cosign(tb testing.TB, signed []byte, at time.Time) []byte {
	tb.Helper()
	text, _, ok := cut(signed)
	if !ok {
		tb.Fatal("cosigning what is no note")
	}
	signer := w.signer(tb)
	signature := binary.BigEndian.AppendUint32(nil, signer.KeyHash())
	signature = binary.BigEndian.AppendUint64(signature, uint64(at.Unix())) //nolint:gosec // after 1970
	signature = append(signature, ed25519.Sign(w.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at.Unix(), text))...)
	return fmt.Appendf(nil, "— %s %s\n", signer.Name(), base64.StdEncoding.EncodeToString(signature))
}

// cut splits a note that was signed once.
func cut(signed []byte) (text, lines string, ok bool) {
	opened, err := note.Open(signed, nil)
	if unverified, is := err.(*note.UnverifiedNoteError); is { //nolint:errorlint // as note documents it
		opened = unverified.Note
	}
	if opened == nil {
		return "", "", false
	}
	return opened.Text, string(signed[len(opened.Text)+1:]), true
}

// Regrown is the log of the leaves as they now are: what whoever can write
// everything makes of a change.
func (l *Log) Regrown(tb testing.TB) *Log {
	tb.Helper()
	grown := l.Twin()
	for seq, r := range l.Records {
		hashes, err := tlog.StoredHashes(int64(seq), r.Leaf, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			return grown.ReadHashes(tb.Context(), indexes)
		}))
		if err != nil {
			tb.Fatal(err)
		}
		r.Hashes = hashes
		grown.Records, grown.hashes = append(grown.Records, r), append(grown.hashes, hashes...)
	}
	return grown
}
