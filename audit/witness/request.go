package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxProof is how many hashes a proof may have (C2SP tlog-witness,
// add-checkpoint): a tree of 2⁶⁴ entries needs no more.
const maxProof = 63

// maxSize bounds trees: package tlog never comes back from larger ones.
const maxSize = 1 << 62

// Request is the body of an add-checkpoint.
type Request struct {
	OldSize int64 // of the tree that the proof begins with
	Proof   []tlog.Hash
	Note    []byte // the signed note of the new checkpoint, as it came

	checkpoint torchwood.Checkpoint
}

// ErrMalformed is a request that is no add-checkpoint.
var ErrMalformed = errors.New("malformed add-checkpoint")

// ParseRequest reads a body. It accepts what Request.String writes, and nothing
// else. Who signed the note is not looked at.
func ParseRequest(body []byte) (Request, error) {
	head, signed, found := bytes.Cut(body, []byte("\n\n"))
	if !found {
		return Request{}, fmt.Errorf("%w: no empty line before the checkpoint", ErrMalformed)
	}
	lines := strings.Split(string(head), "\n")
	old, found := strings.CutPrefix(lines[0], "old ")
	size, err := strconv.ParseInt(old, 10, 64)
	if !found || err != nil || size < 0 || strconv.FormatInt(size, 10) != old {
		return Request{}, fmt.Errorf("%w: the first line is not an old size", ErrMalformed)
	}
	r := Request{OldSize: size, Note: bytes.Clone(signed)}
	if r.Proof, err = parseProof(lines[1:]); err != nil {
		return Request{}, err
	}
	if r.checkpoint, err = parseNote(signed); err != nil {
		return Request{}, err
	}
	return r, nil
}

func parseProof(lines []string) ([]tlog.Hash, error) {
	if len(lines) > maxProof {
		return nil, fmt.Errorf("%w: a proof of more than %d hashes", ErrMalformed, maxProof)
	}
	var proof []tlog.Hash
	for _, line := range lines {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		// The decoder passes over line breaks, a carriage return too.
		if err != nil || len(hash) != tlog.HashSize || len(line) != base64.StdEncoding.EncodedLen(tlog.HashSize) {
			return nil, fmt.Errorf("%w: a line of the proof is not a hash", ErrMalformed)
		}
		proof = append(proof, tlog.Hash(hash))
	}
	return proof, nil
}

// parseNote reads the checkpoint of a well-formed note, whoever signed it. The
// norm lets a checkpoint have lines of extension, which are the log's affair.
func parseNote(signed []byte) (torchwood.Checkpoint, error) {
	var unverified *note.UnverifiedNoteError
	if _, err := note.Open(signed, note.VerifierList()); !errors.As(err, &unverified) {
		return torchwood.Checkpoint{}, fmt.Errorf("%w: no signed note: %w", ErrMalformed, err)
	}
	c, err := torchwood.ParseCheckpoint(unverified.Note.Text)
	if err != nil {
		return torchwood.Checkpoint{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if c.Origin == "" || c.String() != unverified.Note.Text {
		return torchwood.Checkpoint{}, fmt.Errorf("%w: the checkpoint is not in its canonical form", ErrMalformed)
	}
	if c.N > maxSize {
		return torchwood.Checkpoint{}, fmt.Errorf("%w: more than 2⁶² entries", ErrMalformed)
	}
	return c, nil
}

// String is the body of the request.
func (r Request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", r.OldSize)
	for _, hash := range r.Proof {
		fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(hash[:]))
	}
	return b.String() + "\n" + string(r.Note)
}
