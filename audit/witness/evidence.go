package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Kinds of evidence, with which the names of its files begin.
const (
	// fork is a proof by itself: the log has signed two trees of one size, or one
	// that is shown to begin otherwise than the one that is held.
	fork = "fork"
	// unproven is a checkpoint that the log signed, with a proof that does not
	// lead to it from the one that is held. The log has forked, or somebody
	// else has sent nonsense with a checkpoint of its.
	unproven = "unproven"
)

// maxEvidence bounds the files of each kind: anybody can send nonsense.
const maxEvidence = 256

// Evidence is the content of a file of evidence: two checkpoints that one log
// signed, of which the one is not shown to be the other's past. Of a fork, the
// two are of one size, or Proof leads to Submitted's root from another root of
// Held's size than Held's.
type Evidence struct {
	Kind      string    `json:"kind"` // fork, unproven
	Origin    string    `json:"origin"`
	SeenAt    time.Time `json:"seen_at"`
	Held      string    `json:"held"`      // signed by the log and cosigned by the witness
	Submitted string    `json:"submitted"` // signed by the log
	OldSize   int64     `json:"old_size"`
	Proof     []string  `json:"proof"` // as it came with the request
}

// evidence counts the files.
type evidence struct {
	dir    string
	counts map[string]int
}

func openEvidence(dir string) (evidence, error) {
	e := evidence{dir: filepath.Join(dir, forksDir), counts: make(map[string]int)}
	entries, err := os.ReadDir(e.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return evidence{}, fmt.Errorf("reading the evidence: %w", err)
	}
	for _, entry := range entries {
		if kind, _, found := strings.Cut(entry.Name(), "-"); found {
			e.counts[kind]++
		}
	}
	return e, nil
}

// blame tells a fork from what may be nonsense. A proof that leads to the root
// that the log signed is true of that tree, whoever sent it: the old root that
// it begins with is the tree's own past, even if it is not the one that is held.
func blame(before held, r Request) string {
	old, root, ok := roots(r.Proof, before.N, r.checkpoint.N)
	if ok && root == r.checkpoint.Hash && old != before.Hash {
		return fork
	}
	return unproven
}

// roots computes both the roots that a consistency proof is about (RFC 9162,
// section 2.1.4.2). From a size that is a power of two it cannot: the proof
// leaves the old root out, since whoever verifies it has it.
func roots(proof []tlog.Hash, from, to int64) (old, root tlog.Hash, ok bool) {
	if len(proof) == 0 || from&(from-1) == 0 {
		return old, root, false
	}
	fn, sn := from-1, to-1
	for fn&1 == 1 {
		fn, sn = fn>>1, sn>>1
	}
	old, root = proof[0], proof[0]
	for _, hash := range proof[1:] {
		switch {
		case sn == 0:
			return old, root, false
		case fn&1 == 1 || fn == sn:
			old, root = tlog.NodeHash(hash, old), tlog.NodeHash(hash, root)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		default:
			root = tlog.NodeHash(root, hash)
		}
		fn, sn = fn>>1, sn>>1
	}
	return old, root, sn == 0
}

// keep writes the two checkpoints down, once, and says so where operators look.
// The caller holds mu.
func (w *Witness) keep(ctx context.Context, kind string, before held, r Request) {
	logger := w.Logger.With("origin", r.checkpoint.Origin, "held_size", before.N, "held_root", before.Hash.String(),
		"submitted_size", r.checkpoint.N, "submitted_root", r.checkpoint.Hash.String())
	name, err := w.forks.write(kind, w.Now(), before, r)
	switch {
	case err != nil:
		logger.ErrorContext(ctx, "witness_evidence_lost", "kind", kind, "error", err)
	case kind == fork:
		logger.ErrorContext(ctx, "log_forked", "evidence", name)
	default:
		logger.WarnContext(ctx, "log_consistency_unproven", "evidence", name)
	}
}

// write is the name of the file, which may have been there before.
func (e *evidence) write(kind string, now time.Time, before held, r Request) (string, error) {
	sum := sha256.Sum256([]byte(r.checkpoint.String()))
	name := fmt.Sprintf("%s-%s-%d-%x.json", kind, before.id[:16], r.checkpoint.N, sum[:8])
	if _, err := os.Lstat(filepath.Join(e.dir, name)); err == nil {
		return name, nil
	}
	if e.counts[kind] >= maxEvidence {
		return "", fmt.Errorf("there are %d files of this kind in %s: take them away", maxEvidence, e.dir)
	}
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return "", err
	}
	found := Evidence{
		Kind: kind, Origin: r.checkpoint.Origin, SeenAt: now.UTC(), Held: string(before.note), Submitted: string(r.Note),
		OldSize: r.OldSize, Proof: []string{},
	}
	for _, hash := range r.Proof {
		found.Proof = append(found.Proof, base64.StdEncoding.EncodeToString(hash[:]))
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(found); err != nil {
		return "", fmt.Errorf("encoding the evidence: %w", err)
	}
	if err := writeFile(e.dir, name, b.Bytes()); err != nil {
		return "", err
	}
	e.counts[kind]++
	return name, nil
}
