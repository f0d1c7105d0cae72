package check

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca/tsa"
)

// Checker verifies. The zero Checker believes nobody.
type Checker struct {
	// Policy is whom to believe. Without one, a receipt, proof or export is judged
	// by the policy inside it, which decides nothing.
	Policy audit.Policy
	// Known is an older signed checkpoint that the verifier kept; nil if none. The
	// log must have grown out of it.
	Known []byte
	// Authorities are certificates of time-stamping authorities, anchors and what
	// stands between; none leaves a time-stamp's authority unjudged.
	Authorities []*x509.Certificate
	// Progress is told now and then how many entries of how many are done; nil
	// tells nobody.
	Progress func(done, total int64)
}

func (c Checker) progress(done, total int64) {
	if c.Progress != nil {
		c.Progress(done, total)
	}
}

// opened is a checkpoint that is believed, and the tree of the known one.
type opened struct {
	audit.Signed
	known *audit.Tree
}

// open verifies the checkpoint that all else is checked under. It is false if
// there is nothing to check the rest by.
func (c Checker) open(r *Report, note []byte, inside string) (opened, bool) {
	policy, ok := c.policy(r, inside)
	if !ok {
		return opened{}, false
	}
	signed, err := policy.Open(note)
	switch {
	case errors.Is(err, audit.ErrUnwitnessed):
		r.doubt("%v", err)
	case err != nil:
		r.wrong("%v", err)
		return opened{}, false
	}
	r.Checkpoint = describe(signed)
	r.checked("%s signed a checkpoint of %d entries", signed.Origin, signed.Size)
	if len(signed.Witnesses) > 0 && err == nil {
		r.checked("the witnesses that the policy asks for cosigned it")
	}
	if len(c.Known) == 0 {
		return opened{Signed: signed}, true
	}
	known, err := policy.Open(c.Known)
	switch {
	case err != nil && !errors.Is(err, audit.ErrUnwitnessed):
		r.wrong("known checkpoint: %v", err)
	case known.Origin != signed.Origin:
		r.wrong("the known checkpoint is of another log, %s", known.Origin)
	default:
		r.Known = &Known{Size: known.Size}
		return opened{Signed: signed, known: &known.Tree}, true
	}
	return opened{}, false
}

// policy is the verifier's, or with a doubt the one inside.
func (c Checker) policy(r *Report, inside string) (audit.Policy, bool) {
	if len(c.Policy.Logs()) > 0 {
		return c.Policy, true
	}
	own, err := audit.ParsePolicy([]byte(inside))
	if inside == "" || err != nil || len(own.Logs()) == 0 {
		r.wrong("no policy was given that names a log, and none is inside")
		return audit.Policy{}, false
	}
	r.doubt("judged by the policy inside the file, which whoever made the file chose: give the one that you trust")
	return own, true
}

func describe(s audit.Signed) *Checkpoint {
	c := &Checkpoint{Origin: s.Origin, Size: s.Size, Root: s.Root.String(), Witnesses: []Witness{}, WitnessedAt: s.WitnessedAt}
	for i, name := range s.Witnesses {
		c.Witnesses = append(c.Witnesses, Witness{Name: name, At: s.Cosigned[i]})
	}
	return c
}

// compareKnown judges the known checkpoint where there is no tree to compare it
// with: only one of the same size says something.
func (o opened) compareKnown(r *Report) {
	switch {
	case o.known == nil:
	case o.known.Size != o.Size:
		r.note("the known checkpoint of %d entries was not compared: that takes the log", o.known.Size)
		r.Known = nil
	case o.known.Root != o.Root:
		r.broken(0, o.Size, "the log is not the one that was known at %d entries", o.Size)
	default:
		r.Known.Consistent = true
		r.checked("the known checkpoint of %d entries is the same", o.Size)
	}
}

// stamp verifies the time-stamp of a checkpoint, a token or a whole response.
func (c Checker) stamp(r *Report, der, signed []byte) {
	if len(der) == 0 {
		if len(c.Authorities) > 0 {
			r.doubt("the checkpoint has no time-stamp")
		}
		return
	}
	s, token, err := readStamp(der, signed, c.Authorities)
	if err != nil {
		r.wrong("time-stamp: %v", err)
		return
	}
	r.Signed, r.Token = signed, token
	r.Stamp = &Stamp{At: s.Time, Authority: s.Signer.Subject.String()}
	r.checked("the checkpoint was time-stamped")
	if len(c.Authorities) == 0 {
		r.note("whether the time-stamping authority is one to believe was not asked: no certificates were given")
		return
	}
	if _, err := s.Chain(s.Time, c.Authorities, c.Authorities...); err != nil {
		r.wrong("time-stamp: %v", err)
		return
	}
	r.Stamp.Trusted = true
	r.checked("the time-stamping authority is one of those given")
}

func readStamp(der, signed []byte, others []*x509.Certificate) (*tsa.Stamp, []byte, error) {
	token, err := tsa.Token(der)
	if err != nil {
		token = der
	}
	s, err := tsa.Read(token, others...)
	if err != nil {
		return nil, nil, err
	}
	if !s.Hash.Available() {
		return nil, nil, fmt.Errorf("%w: its imprint is by %v", tsa.ErrToken, s.Hash)
	}
	h := s.Hash.New()
	h.Write(signed)
	if !bytes.Equal(h.Sum(nil), s.Digest) {
		return nil, nil, fmt.Errorf("%w: it is not of this checkpoint", tsa.ErrToken)
	}
	return s, token, s.Fit()
}

// Receipt verifies a receipt.
func (c Checker) Receipt(name string, b []byte) (*Report, error) {
	receipt, err := audit.ParseReceipt(b)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	r := &Report{Name: name, Kind: Receipt}
	under, ok := c.open(r, receipt.Entries[0].Checkpoint, receipt.Policy)
	if !ok {
		return r.conclude(), nil
	}
	under.compareKnown(r)
	facts := make([]audit.Fact, len(receipt.Entries))
	for i, p := range receipt.Entries {
		if facts[i], err = p.Under(under.Tree); err != nil {
			r.broken(p.Seq, p.Seq+1, "%v", err)
			return r.conclude(), nil
		}
		r.fact(facts[i])
	}
	if err := receipt.Belong(facts); err != nil {
		r.wrong("%v", err)
		return r.conclude(), nil
	}
	r.checked("intent and outcome of the signature are in the log, in this order, and belong together")
	c.stamp(r, receipt.Timestamp, under.LogSigned)
	return r.conclude(), nil
}

// Proof verifies a C2SP tlog-proof.
func (c Checker) Proof(name string, text []byte) (*Report, error) {
	proof, err := audit.ParseProof(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	r := &Report{Name: name, Kind: Proof}
	under, ok := c.open(r, proof.Checkpoint, "")
	if !ok {
		return r.conclude(), nil
	}
	under.compareKnown(r)
	fact, err := proof.Under(under.Tree)
	if err != nil {
		r.broken(proof.Seq, proof.Seq+1, "%v", err)
		return r.conclude(), nil
	}
	r.fact(fact)
	r.checked("the entry is in the log")
	return r.conclude(), nil
}
