package audit

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"slices"
)

// receiptVersion is the version of a receipt's form.
const receiptVersion = 1

// MaxReceipt is the longest receipt that is read.
const MaxReceipt = 4 << 20

// Receipt is what application and citizen get with a signature: that the
// intent and its outcome are in the log, under one checkpoint. It stands in a
// file *.rubrica-receipt.json.
type Receipt struct {
	Operation string
	// Entries are the intent and its outcome.
	Entries []Proof
	// Timestamp is the RFC 3161 token of the checkpoint as the log signed it;
	// empty if there is none.
	Timestamp []byte
	// Policy is the deployment's, for who has none yet. It proves nothing: a
	// forger writes one of their own.
	Policy string
}

type wireReceipt struct {
	Version   int         `json:"receipt"`
	Operation string      `json:"operation"`
	Entries   []wireEntry `json:"entries"`
	Timestamp []byte      `json:"timestamp,omitempty"`
	Policy    string      `json:"policy,omitempty"`
}

type wireEntry struct {
	Type  EventType `json:"type"`
	Proof string    `json:"proof"`
}

// ErrReceipt is a receipt that cannot be read, or whose parts do not belong
// together.
var ErrReceipt = errors.New("not a receipt")

// NewReceipt puts intent and outcome together, once they belong together.
func NewReceipt(intent, outcome Proof, timestamp []byte, policy Policy) (Receipt, error) {
	r := Receipt{Entries: []Proof{intent, outcome}, Timestamp: timestamp, Policy: policy.String()}
	leaf, err := ParseLeaf(intent.Leaf)
	if err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	r.Operation = leaf.Operation
	facts := make([]Fact, len(r.Entries))
	for i, p := range r.Entries {
		if facts[i], err = OpenFact(p.Seq, p.Leaf, p.Payload, p.Salt); err != nil {
			return Receipt{}, fmt.Errorf("%w: %w", ErrReceipt, err)
		}
	}
	return r, r.Belong(facts)
}

// Bytes is the receipt as JSON.
func (r Receipt) Bytes() ([]byte, error) {
	wire := wireReceipt{Version: receiptVersion, Operation: r.Operation, Timestamp: r.Timestamp, Policy: r.Policy}
	for _, p := range r.Entries {
		leaf, err := ParseLeaf(p.Leaf)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
		}
		text, err := p.Text()
		if err != nil {
			return nil, err
		}
		wire.Entries = append(wire.Entries, wireEntry{Type: leaf.Type, Proof: string(text)})
	}
	b, err := json.Marshal(wire, jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("encoding a receipt: %w", err)
	}
	return append(b, '\n'), nil
}

// ParseReceipt reads a receipt, however its JSON is spaced. It verifies
// nothing.
func ParseReceipt(b []byte) (Receipt, error) {
	if len(b) > MaxReceipt {
		return Receipt{}, fmt.Errorf("%w: it has %d octets", ErrReceipt, len(b))
	}
	var wire wireReceipt
	if err := json.Unmarshal(b, &wire, json.RejectUnknownMembers(true)); err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if wire.Version != receiptVersion {
		return Receipt{}, fmt.Errorf("%w: version %d, this program knows %d", ErrReceipt, wire.Version, receiptVersion)
	}
	r := Receipt{Operation: wire.Operation, Timestamp: wire.Timestamp, Policy: wire.Policy}
	for _, e := range wire.Entries {
		p, err := ParseProof([]byte(e.Proof))
		if err != nil {
			return Receipt{}, fmt.Errorf("%w: %w", ErrReceipt, err)
		}
		leaf, err := ParseLeaf(p.Leaf)
		if err != nil {
			return Receipt{}, fmt.Errorf("%w: %w", ErrReceipt, err)
		}
		if leaf.Type != e.Type {
			return Receipt{}, fmt.Errorf("%w: entry %d is %s, and is called %q", ErrReceipt, p.Seq, leaf.Type, e.Type)
		}
		r.Entries = append(r.Entries, p)
	}
	if len(r.Entries) != 2 {
		return Receipt{}, fmt.Errorf("%w: %d entries, want intent and outcome", ErrReceipt, len(r.Entries))
	}
	return r, nil
}

// Check verifies that the policy believes the checkpoint, that both entries are
// in its tree, are what they commit to, and are the intent and the outcome of
// one signature. The time-stamp is of Signed.LogSigned, and is verified by who
// knows its authority. If only the witnesses are missing, Signed and the facts
// are filled and the error is ErrUnwitnessed.
func (r Receipt) Check(policy Policy) (Signed, []Fact, error) {
	if len(r.Entries) != 2 {
		return Signed{}, nil, fmt.Errorf("%w: %d entries, want intent and outcome", ErrReceipt, len(r.Entries))
	}
	signed, unwitnessed := policy.Open(r.Entries[0].Checkpoint)
	if unwitnessed != nil && !errors.Is(unwitnessed, ErrUnwitnessed) {
		return Signed{}, nil, unwitnessed
	}
	facts := make([]Fact, len(r.Entries))
	for i, p := range r.Entries {
		var err error
		if facts[i], err = p.Under(signed.Tree); err != nil {
			return signed, nil, err
		}
	}
	if err := r.Belong(facts); err != nil {
		return signed, nil, err
	}
	return signed, facts, unwitnessed
}

// Belong is whether the entries, whose facts these are, are the intent and the outcome of one
// signature, in this order, under one checkpoint.
func (r Receipt) Belong(facts []Fact) error {
	intent, outcome := facts[0], facts[1]
	switch {
	case intent.Type != SignIntent || !slices.Contains([]EventType{SignDone, SignFailed, SignInterrupted}, outcome.Type):
		return fmt.Errorf("%w: %s and %s are not intent and outcome of a signature", ErrReceipt, intent.Type, outcome.Type)
	case intent.Operation != r.Operation || outcome.Operation != r.Operation:
		return fmt.Errorf("%w: operations %s and %s, not both %s", ErrReceipt, intent.Operation, outcome.Operation, r.Operation)
	case intent.Seq >= outcome.Seq:
		return fmt.Errorf("%w: the outcome %d is not after the intent %d", ErrReceipt, outcome.Seq, intent.Seq)
	case !bytes.Equal(r.Entries[0].Checkpoint, r.Entries[1].Checkpoint):
		return fmt.Errorf("%w: two checkpoints", ErrReceipt)
	case !intent.Opened || !outcome.Opened:
		return nil
	}
	// One request may have several intents, each after a new consent.
	a, err := authorisationOf(intent.Payload)
	if err != nil {
		return err
	}
	b, err := authorisationOf(outcome.Payload)
	if err != nil {
		return err
	}
	if a != b && a != "" && b != "" || intent.Person != outcome.Person {
		return fmt.Errorf("%w: the outcome is of another consent", ErrReceipt)
	}
	return nil
}

func authorisationOf(payload []byte) (string, error) {
	var p struct {
		Authorisation string `json:"authorisation"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return "", fmt.Errorf("%w: payload: %w", ErrReceipt, err)
	}
	return p.Authorisation, nil
}
