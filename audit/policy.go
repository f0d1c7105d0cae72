package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// Policy is whom one believes about a log: its keys, and which witnesses must
// have seen a checkpoint (C2SP tlog-policy). The zero Policy believes nobody.
type Policy struct {
	text      string
	logs      []logPolicy
	witnesses []Witness
	verifiers map[keyID]note.Verifier
}

// Witness is one that a policy names.
type Witness struct {
	Name        string // as the policy calls it
	VerifierKey string
	URL         string // its submission prefix; empty if the policy has none

	id keyID
}

// logPolicy is the policy as it stands for one of its logs: the key that must
// have signed, under the origin that is the key's name, and the quorum.
type logPolicy struct {
	vkey   string
	id     keyID
	quorum torchwood.Policy
}

// keyID names a key in a note: the name and the short hash.
type keyID struct {
	name string
	hash uint32
}

func idOf(v note.Verifier) keyID { return keyID{v.Name(), v.KeyHash()} }

// Errors of a checkpoint under a policy.
var (
	// ErrCheckpoint is a note that is no checkpoint of a log that the policy names.
	ErrCheckpoint = errors.New("not a checkpoint of a log that the policy names")
	// ErrUnwitnessed is one that too few of the policy's witnesses have cosigned.
	ErrUnwitnessed = errors.New("checkpoint without the witnesses that the policy asks for")
)

// errPolicy is in every error about a policy file.
var errPolicy = errors.New("witness policy")

// ParsePolicy reads a policy file. What torchwood does not refuse and C2SP
// does, a key or a member that would count twice, is refused here.
func ParsePolicy(text []byte) (Policy, error) {
	p := Policy{text: string(text), verifiers: make(map[keyID]note.Verifier)}
	lines, err := policyLines(text)
	if err != nil {
		return Policy{}, err
	}
	var logs, others [][]string
	for _, fields := range lines {
		if fields[0] == "log" {
			logs = append(logs, fields)
		} else {
			others = append(others, fields)
		}
	}
	if err := addWitnesses(&p, others); err != nil {
		return Policy{}, err
	}
	// One policy a log: torchwood would want all logs to have signed, C2SP any.
	for _, fields := range logs {
		if err := addLog(&p, fields, others); err != nil {
			return Policy{}, err
		}
	}
	if len(logs) == 0 { // what else is wrong with it, torchwood says
		if _, err := torchwood.ParsePolicy(joinLines(others)); err != nil {
			return Policy{}, fmt.Errorf("%w: %w", errPolicy, err)
		}
	}
	return p, checkKeys(p)
}

// policyLines splits the file as C2SP tlog-policy has it, "Character set" and
// "Structure": ASCII blanks, comments that are whole lines.
func policyLines(text []byte) ([][]string, error) {
	const blanks = " \t"
	var lines [][]string
	for i, line := range strings.Split(string(text), "\n") {
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, fmt.Errorf("%w: line %d: control character", errPolicy, i+1)
		}
		line = strings.Trim(line, blanks)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(blanks, r) })
		// torchwood cuts at any Unicode space and at any #.
		if strings.Contains(line, "#") || !slices.Equal(fields, strings.Fields(line)) {
			return nil, fmt.Errorf("%w: line %d: # or a blank that is not ASCII inside a name", errPolicy, i+1)
		}
		lines = append(lines, fields)
	}
	return lines, nil
}

func joinLines(lines [][]string) []byte {
	var b bytes.Buffer
	for _, fields := range lines {
		fmt.Fprintln(&b, strings.Join(fields, " "))
	}
	return b.Bytes()
}

// addWitnesses reads the witnesses, and refuses what would let one of them
// count for two.
func addWitnesses(p *Policy, lines [][]string) error {
	counted := make(map[string]bool) // members of groups, and the quorum
	for _, fields := range lines {
		var members []string
		switch fields[0] {
		case "witness":
			if len(fields) < 3 || len(fields) > 4 {
				return fmt.Errorf("%w: witness without name and key: %q", errPolicy, fields)
			}
			v, err := torchwood.NewCosignatureVerifier(fields[2])
			if err != nil {
				return fmt.Errorf("%w: key of witness %q: %w", errPolicy, fields[1], err)
			}
			w := Witness{Name: fields[1], VerifierKey: fields[2], id: idOf(v)}
			if len(fields) == 4 {
				w.URL = fields[3]
			}
			p.witnesses = append(p.witnesses, w)
			p.verifiers[w.id] = v
		case "group":
			members = fields[min(3, len(fields)):]
		case "quorum":
			if len(fields) != 2 {
				return fmt.Errorf("%w: quorum is not one name", errPolicy)
			}
			members = fields[1:]
		}
		if fields[0] != "quorum" && len(fields) > 1 && fields[1] == "none" {
			return fmt.Errorf("%w: %s may not be called none", errPolicy, fields[0])
		}
		for _, member := range members {
			if counted[member] {
				return fmt.Errorf("%w: %q counts twice", errPolicy, member)
			}
			counted[member] = true
		}
	}
	return nil
}

func addLog(p *Policy, fields []string, others [][]string) error {
	if len(fields) < 2 || len(fields) > 3 {
		return fmt.Errorf("%w: log without a key: %q", errPolicy, fields)
	}
	v, err := note.NewVerifier(fields[1])
	if err != nil {
		return fmt.Errorf("%w: key of the log: %w", errPolicy, err)
	}
	quorum, err := torchwood.ParsePolicy(joinLines(append(slices.Clone(others), fields)))
	if err != nil {
		return fmt.Errorf("%w: %w", errPolicy, err)
	}
	p.logs = append(p.logs, logPolicy{vkey: fields[1], id: idOf(v), quorum: quorum})
	p.verifiers[idOf(v)] = v
	return nil
}

// checkKeys refuses a witness's public key that stands twice, whatever it is
// called: an Ed25519 cosignature does not say who made it. Two logs may share a
// key, unlike in C2SP tlog-policy: the origin is in what they sign, and a log
// that goes on under another name after a loss has the token's key as before.
func checkKeys(p Policy) error {
	if len(p.verifiers) != len(p.logs)+len(p.witnesses) {
		return fmt.Errorf("%w: a key stands twice under one name", errPolicy)
	}
	logs := make(map[string]bool)
	for _, l := range p.logs {
		logs[publicKey(l.vkey)] = true
	}
	seen := make(map[string]bool)
	for _, w := range p.witnesses {
		key := publicKey(w.VerifierKey)
		if logs[key] || seen[key] {
			return fmt.Errorf("%w: the key of witness %q stands twice", errPolicy, w.Name)
		}
		seen[key] = true
	}
	return nil
}

// publicKey is the key of a verifier key that was parsed: name, hash, and
// signature type with key.
func publicKey(vkey string) string {
	encoded := strings.SplitN(vkey, "+", 3)
	key, err := base64.StdEncoding.DecodeString(encoded[len(encoded)-1])
	if err != nil || len(key) == 0 {
		return vkey
	}
	return string(key[1:])
}

// WithLog is the policy that also believes the log with this key; of the zero
// policy one that asks no witness.
func (p Policy) WithLog(vkey string) (Policy, error) {
	if slices.Contains(p.Logs(), vkey) {
		return p, nil
	}
	rest := p.text
	if rest == "" {
		rest = "quorum none\n"
	}
	return ParsePolicy([]byte("log " + vkey + "\n" + rest))
}

// String is the text of the policy file.
func (p Policy) String() string { return p.text }

// Witnesses are the witnesses that the policy names, in its order.
func (p Policy) Witnesses() []Witness { return slices.Clone(p.witnesses) }

// Logs are the verifier keys of the logs, in the policy's order.
func (p Policy) Logs() []string {
	vkeys := make([]string, len(p.logs))
	for i, l := range p.logs {
		vkeys[i] = l.vkey
	}
	return vkeys
}

// Signed is a checkpoint and who stands by it.
type Signed struct {
	Checkpoint
	// Note is the whole signed note, as it was read.
	Note []byte
	// LogSigned is the note with the log's signature alone: what the RFC 3161
	// time-stamp is of.
	LogSigned []byte
	// Witnesses are the policy's names of those whose cosignatures hold, the
	// earliest first, and Cosigned is when each one cosigned.
	Witnesses []string
	Cosigned  []time.Time
	// WitnessedAt is the time of the cosignature with which the quorum was
	// there; zero without a quorum, and where the policy asks for none.
	WitnessedAt time.Time
}

// Open verifies a signed note: a log of the policy must have signed it under
// its own name, and a quorum of witnesses cosigned it. If only the quorum is
// missing, the error is ErrUnwitnessed, and what was found stands in Signed.
// Signatures of others are passed over, a false one of a known key is an error.
func (p Policy) Open(signed []byte) (Signed, error) {
	opened, err := note.Open(signed, verifiers(p.verifiers))
	if err != nil {
		return Signed{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	c, err := ParseCheckpoint(opened.Text)
	if err != nil {
		return Signed{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	for _, l := range p.logs {
		i := slices.IndexFunc(opened.Sigs, func(s note.Signature) bool { return l.id == keyID{s.Name, s.Hash} })
		if i < 0 || l.id.name != c.Origin {
			continue
		}
		s := Signed{Checkpoint: c, Note: bytes.Clone(signed), LogSigned: logSigned(opened.Text, opened.Sigs[i])}
		return s, p.witnessed(&s, l, opened.Sigs)
	}
	return Signed{}, fmt.Errorf("%w: %q did not sign it", ErrCheckpoint, c.Origin)
}

// witnessed fills in who cosigned and when, and says whether they are a quorum.
func (p Policy) witnessed(s *Signed, l logPolicy, signatures []note.Signature) error {
	type cosignature struct {
		name      string
		at        time.Time
		signature note.Signature
	}
	var cosignatures []cosignature
	var counted []note.Signature
	for _, sig := range signatures {
		i := slices.IndexFunc(p.witnesses, func(w Witness) bool { return w.id == keyID{sig.Name, sig.Hash} })
		if i < 0 {
			counted = append(counted, sig) // the log's
			continue
		}
		seconds, err := torchwood.CosignatureTimestamp(sig)
		if err != nil || seconds == 0 { // a cosignature of a checkpoint has a time (C2SP tlog-witness)
			continue
		}
		cosignatures = append(cosignatures, cosignature{p.witnesses[i].Name, time.Unix(seconds, 0).UTC(), sig})
	}
	slices.SortStableFunc(cosignatures, func(a, b cosignature) int { return a.at.Compare(b.at) })
	missing := l.quorum.Check(s.Origin, counted)
	for _, c := range cosignatures {
		s.Witnesses, s.Cosigned = append(s.Witnesses, c.name), append(s.Cosigned, c.at)
		counted = append(counted, c.signature)
		if missing == nil {
			continue
		}
		if missing = l.quorum.Check(s.Origin, counted); missing == nil {
			s.WitnessedAt = c.at
		}
	}
	if missing != nil {
		return fmt.Errorf("%w: %w", ErrUnwitnessed, missing)
	}
	return nil
}

// verifiers implements note.Verifiers.
type verifiers map[keyID]note.Verifier

// Verifier implements note.Verifiers.
func (v verifiers) Verifier(name string, hash uint32) (note.Verifier, error) {
	if known, ok := v[keyID{name, hash}]; ok {
		return known, nil
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

// Cosign adds to a signed note what a witness answered to add-checkpoint: the
// cosignatures, of those lines, that are the policy's witnesses'. An earlier one
// of the same witness gives way. It is an error if there is none, or if one does
// not verify.
func (p Policy) Cosign(signed, lines []byte) ([]byte, error) {
	text, present, ok := cutNote(signed)
	if !ok {
		return nil, fmt.Errorf("%w: no signed note", ErrCheckpoint)
	}
	witnesses := make(map[keyID]note.Verifier, len(p.witnesses))
	for _, w := range p.witnesses {
		witnesses[w.id] = p.verifiers[w.id]
	}
	opened, err := note.Open(slices.Concat(text, []byte("\n"), lines), verifiers(witnesses))
	if err != nil {
		return nil, fmt.Errorf("reading what a witness answered: %w", err)
	}
	if opened.Text != string(text) { // the lines hold an end of a text of their own
		return nil, fmt.Errorf("reading what a witness answered: not signature lines")
	}
	var kept []string
	for _, line := range present {
		if !slices.ContainsFunc(opened.Sigs, func(s note.Signature) bool { return sameKey(line, s) }) {
			kept = append(kept, line)
		}
	}
	for _, s := range opened.Sigs {
		kept = append(kept, fmt.Sprintf("— %s %s\n", s.Name, s.Base64))
	}
	return slices.Concat(text, []byte("\n"), []byte(strings.Join(kept, ""))), nil
}

// cutNote splits a signed note into its text and its signature lines.
func cutNote(signed []byte) (text []byte, lines []string, ok bool) {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	if i < 0 {
		return nil, nil, false
	}
	return signed[:i+1], slices.Collect(strings.Lines(string(signed[i+2:]))), true
}

// sameKey is whether a signature line is of the key that made s.
func sameKey(line string, s note.Signature) bool {
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[1] != s.Name {
		return false
	}
	a, err := base64.StdEncoding.DecodeString(fields[2])
	return err == nil && len(a) > 4 && binary.BigEndian.Uint32(a) == s.Hash
}
