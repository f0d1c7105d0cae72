package augment

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

var (
	// ErrInvalid is a signature that does not verify, or is no baseline signature:
	// nothing is added to it. Waiting does not help.
	ErrInvalid = errors.New("signature is not one to be extended")
	// ErrLevel is a level that is not known.
	ErrLevel = errors.New("unknown level")
	// ErrShort means that all was added and the level is still not what was asked
	// for, by the measure of whoever reads the signature.
	ErrShort = errors.New("the level was not reached")
)

// Gatherer collects evidence. *Collector fulfils it.
type Gatherer interface {
	Collect(ctx context.Context, w Wanted) (cades.Evidence, error)
}

// Config names the parts of an Augmenter.
type Config struct {
	Stamper  Stamper
	Evidence Gatherer
	Trust    Trust
	// Hash is that of time-stamps; zero is SHA-256.
	Hash crypto.Hash
	// Renew is how long before the end of its last time-stamp's certificate an
	// archive gets another; zero is half a year.
	Renew time.Duration
	Now   func() time.Time
}

// Augmenter lifts signatures to higher levels. What it returns as reached is
// read off the signature as it stands when it is done, not off what was meant to
// be added; an error says what is missing, and takes nothing away.
type Augmenter struct{ Config }

// New makes an Augmenter.
func New(c Config) (*Augmenter, error) {
	if c.Stamper == nil || c.Evidence == nil || c.Trust == nil || c.Now == nil {
		return nil, errors.New("augmenter without time-stamps, evidence, trust or clock")
	}
	c.Hash, c.Renew = cmp.Or(c.Hash, crypto.SHA256), cmp.Or(c.Renew, 182*24*time.Hour)
	return &Augmenter{c}, nil
}

// CMS lifts one signer's signature of a message in place. The content is that of
// a detached signature; it may be read more than once. An archive is renewed if
// its last time-stamp ends soon.
func (a *Augmenter) CMS(ctx context.Context, m *cms.Message, signer int, content func() (io.Reader, error), want cades.Level) (cades.Level, error) {
	anchors, err := a.Trust(ctx)
	if err != nil {
		return "", fmt.Errorf("reading whom to trust: %w", err)
	}
	return message{Augmenter: a, Message: m, signer: signer, content: content, anchors: anchors}.reach(ctx, want)
}

// CMSOver is CMS for a detached signature of which only the content's digest is
// known. An archive hashes the content itself: without it, B-LT is as far as it
// goes.
func (a *Augmenter) CMSOver(ctx context.Context, m *cms.Message, signer int, digest []byte, want cades.Level) (cades.Level, error) {
	anchors, err := a.Trust(ctx)
	if err != nil {
		return "", fmt.Errorf("reading whom to trust: %w", err)
	}
	return message{Augmenter: a, Message: m, signer: signer, digest: digest, anchors: anchors}.reach(ctx, want)
}

func (s message) reach(ctx context.Context, want cades.Level) (cades.Level, error) {
	if !want.Known() {
		return s.level(), fmt.Errorf("%w: %q", ErrLevel, want)
	}
	if err := s.check(); err != nil {
		return s.level(), err
	}
	err := s.lift(ctx, want)
	reached := s.level()
	if err == nil && !reached.AtLeast(want) {
		err = fmt.Errorf("%w: %s instead of %s", ErrShort, reached, want)
	}
	return reached, err
}

// message is a signature in CMS at work.
type message struct {
	*Augmenter
	*cms.Message

	signer  int
	content func() (io.Reader, error)
	digest  []byte // of the content, where that itself is not known
	anchors []*x509.Certificate
}

func (s message) level() cades.Level { return cades.LevelOf(s.Message, s.signer, s.anchors...) }

// open gives the detached content; nil if it is attached.
func (s message) open() (io.Reader, error) {
	if s.Attached() {
		return nil, nil
	}
	if s.content == nil {
		return nil, fmt.Errorf("%w: its content is missing", ErrInvalid)
	}
	content, err := s.content()
	if err != nil {
		return nil, fmt.Errorf("reading the content: %w", err)
	}
	return content, nil
}

// check demands a baseline signature that verifies: a time-stamp over anything
// else only lends it a dignity that it does not have.
func (s message) check() error {
	if s.level() == "" {
		return fmt.Errorf("%w: no baseline signature", ErrInvalid)
	}
	if s.digest != nil {
		return sound(s.Message, s.signer, s.digest)
	}
	content, err := s.open()
	if err != nil {
		return err
	}
	digests, err := s.Digests(content)
	if err != nil {
		return fmt.Errorf("hashing the content: %w", err)
	}
	return sound(s.Message, s.signer, digests[s.Signers[s.signer].Hash])
}

// sound says whether a signer signed what has this digest.
func sound(m *cms.Message, signer int, digest []byte) error {
	s := m.Signers[signer]
	if err := s.Verify(s.Certificate(m.Certificates), digest); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// lift adds level by level.
func (s message) lift(ctx context.Context, want cades.Level) error {
	if want.AtLeast(cades.BT) && !s.level().AtLeast(cades.BT) {
		if err := s.stamp(ctx, s.Message, s.signer); err != nil {
			return err
		}
	}
	if want.AtLeast(cades.BLT) && !s.level().AtLeast(cades.BLT) {
		if err := s.prove(ctx); err != nil {
			return err
		}
	}
	if !want.AtLeast(cades.BLTA) {
		return nil
	}
	if s.level().AtLeast(cades.BLTA) {
		due, err := s.due()
		if err != nil || !due {
			return err
		}
		if err := s.prove(ctx); err != nil { // of the last time-stamp
			return err
		}
	}
	return s.archive(ctx)
}

// stamp adds a signature-time-stamp.
func (a *Augmenter) stamp(ctx context.Context, m *cms.Message, signer int) error {
	token, err := a.Stamper.TimeStamp(ctx, a.Hash, cades.SignatureImprint(m.Signers[signer], a.Hash))
	if err != nil {
		return err
	}
	return cades.AddSignatureTimeStamp(m, signer, token)
}

// prove adds the evidence of the signer, unless the signature has it, and of all
// time-stamps.
func (s message) prove(ctx context.Context) error {
	stamps, err := s.stamps()
	if err != nil {
		return err
	}
	known := cades.EvidenceOf(s.Message)
	var found cades.Evidence
	if !s.level().AtLeast(cades.BLT) {
		certificate := s.Signers[s.signer].Certificate(s.Certificates)
		found, err = s.Evidence.Collect(ctx, Wanted{Certificate: certificate, Used: stamps[0].Time, Signer: true, Known: known})
		if err != nil {
			return err
		}
	}
	of, err := s.ofStamps(ctx, stamps, known)
	if err != nil {
		return err
	}
	return cades.AddEvidence(s.Message, s.signer, found.Merge(of))
}

// stamps are those that date the signature, the oldest first.
func (s message) stamps() ([]*tsa.Stamp, error) {
	all, err := cades.TimeStamps(s.Message, s.signer)
	if err != nil {
		return nil, err
	}
	var stamps []*tsa.Stamp
	for _, t := range all {
		if t.Kind == cades.ContentTimeStamp {
			continue
		}
		stamp, err := tsa.Read(t.Token, s.Certificates...)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		stamps = append(stamps, stamp)
	}
	if len(stamps) == 0 {
		return nil, policies.Refuse(policies.TimeStampUnavailable)
	}
	return stamps, nil
}

// ofStamps is the evidence of those who made them.
func (a *Augmenter) ofStamps(ctx context.Context, stamps []*tsa.Stamp, known cades.Evidence) (cades.Evidence, error) {
	var found cades.Evidence
	for _, stamp := range stamps {
		inside := known.Merge(cades.Evidence{Certificates: stamp.Certificates})
		e, err := a.Evidence.Collect(ctx, Wanted{Certificate: stamp.Signer, Used: stamp.Time, Known: inside})
		if err != nil {
			return cades.Evidence{}, err
		}
		found = found.Merge(e)
	}
	return found, nil
}

// archive adds an archive-time-stamp-v3.
func (s message) archive(ctx context.Context) error {
	content, err := s.open()
	if err != nil {
		return err
	}
	if err := s.AddDigestAlgorithm(s.Hash); err != nil { // EN 319 122-1, 5.5.3
		return fmt.Errorf("naming the hash of the archive: %w", err)
	}
	imprint, index, err := cades.ArchiveImprint(s.Message, s.signer, content, s.Hash)
	if err != nil {
		return fmt.Errorf("hashing for the archive: %w", err)
	}
	token, err := s.Stamper.TimeStamp(ctx, s.Hash, imprint)
	if err != nil {
		return err
	}
	return cades.AddArchiveTimeStamp(s.Message, s.signer, token, index)
}

// due is whether the last time-stamp ends soon.
func (s message) due() (bool, error) {
	stamps, err := s.stamps()
	if err != nil {
		return false, err
	}
	return s.ends(stamps[len(stamps)-1]), nil
}

// ends is whether a stamp has to be renewed now.
func (a *Augmenter) ends(stamp *tsa.Stamp) bool {
	return !a.Now().Add(a.Renew).Before(stamp.Signer.NotAfter)
}

// RenewCMS is when the archive of a signature is due to be renewed: CMS does it
// then, and not before.
func (a *Augmenter) RenewCMS(m *cms.Message, signer int) (time.Time, error) {
	stamps, err := message{Augmenter: a, Message: m, signer: signer}.stamps()
	if err != nil {
		return time.Time{}, err
	}
	return stamps[len(stamps)-1].Signer.NotAfter.Add(-a.Renew), nil
}
