package cades

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ErrTimeStamp is in every error about a token that is none, or that does not
// belong where it is or should be put.
var ErrTimeStamp = errors.New("time-stamp does not fit")

// ErrNoSigner is the answer to a signer number that a message does not have.
var ErrNoSigner = errors.New("no such signer")

// ErrOldArchive refuses what would break an archive time-stamp of an older kind
// (EN 319 122-1, 5.5.3): it covers all certificates and revocation values as they
// stand, so none can be added any more.
var ErrOldArchive = errors.New("an archive time-stamp of an older kind forbids the change")

var (
	idContentTimeStamp   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 20}
	idSignatureTimeStamp = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}
	idArchiveTimeStamp   = asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 4}
)

// oldArchives are archive-time-stamp in its two older versions and
// long-term-validation (EN 319 122-1, A.2.4 and A.2.5; TS 101 733, 6.4).
func oldArchives() []asn1.ObjectIdentifier {
	return []asn1.ObjectIdentifier{
		{1, 2, 840, 113549, 1, 9, 16, 2, 27}, {1, 2, 840, 113549, 1, 9, 16, 2, 48}, {0, 4, 0, 1733, 2, 2},
	}
}

// Kind says what a time-stamp is of.
type Kind string

// The kinds by their attributes' names.
const (
	ContentTimeStamp   Kind = "content-time-stamp"
	SignatureTimeStamp Kind = "signature-time-stamp"
	ArchiveTimeStamp   Kind = "archive-time-stamp-v3"
	// DocumentTimeStamp is a PDF's own (ISO 32000-2, 12.8.5), of its ByteRange.
	DocumentTimeStamp Kind = "document-time-stamp"
)

// TimeStamp is one that stands in a signature. That it was read says nothing
// about who made it: the token is itself a signature, to be validated.
type TimeStamp struct {
	Kind  Kind
	Token []byte
	// Err is why the token cannot be read; the fields below are then zero.
	Err error
	// Time is genTime. Imprint is the digest, by Hash, that was stamped.
	Time    time.Time
	Hash    crypto.Hash
	Imprint []byte

	subject *subject
	token   *cms.Token
}

// subject is the signature that time-stamps are of, with what all of them need
// and is long in the making.
type subject struct {
	message  *cms.Message
	signer   *cms.SignerInfo
	elements map[crypto.Hash]*hashIndex
	content  map[crypto.Hash][]byte
}

// maxStamps bounds the time-stamps of one signer: one each year and some to
// spare. Whoever wrote a message chose how many there are, and each costs.
const maxStamps = 256

// TimeStamps are those of one signer, the oldest first and any that cannot be
// read before them. They are of the message as it stands: after a change to it,
// they have to be asked for again.
func TimeStamps(m *cms.Message, signer int) ([]*TimeStamp, error) {
	s, err := signerOf(m, signer)
	if err != nil {
		return nil, err
	}
	var stamps []*TimeStamp
	of := &subject{message: m, signer: s, elements: map[crypto.Hash]*hashIndex{}, content: map[crypto.Hash][]byte{}}
	add := func(kind Kind, values [][]byte) {
		for _, der := range values[:min(len(values), maxStamps+1)] {
			t := &TimeStamp{Kind: kind, Token: der, subject: of}
			if t.token, t.Err = readToken(der); t.Err == nil {
				t.Time, t.Hash, t.Imprint = t.token.Time, t.token.Hash, t.token.Digest
			}
			stamps = append(stamps, t)
		}
	}
	for _, a := range s.Signed {
		if a.Type.Equal(idContentTimeStamp) {
			add(ContentTimeStamp, a.Values)
		}
	}
	add(SignatureTimeStamp, s.UnsignedValues(idSignatureTimeStamp))
	add(ArchiveTimeStamp, s.UnsignedValues(idArchiveTimeStamp))
	if len(stamps) > maxStamps {
		return nil, fmt.Errorf("%w: more than %d time-stamps", ErrTimeStamp, maxStamps)
	}
	slices.SortStableFunc(stamps, func(a, b *TimeStamp) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.rank(), b.rank()))
	})
	return stamps, nil
}

// ReadTimeStamp reads a token that stands by itself: a document time-stamp.
func ReadTimeStamp(der []byte) (*TimeStamp, error) {
	token, err := readToken(der)
	if err != nil {
		return nil, err
	}
	return &TimeStamp{
		Kind: DocumentTimeStamp, Token: der, Time: token.Time, Hash: token.Hash, Imprint: token.Digest, token: token,
	}, nil
}

// Evidence is what the token itself carries.
func (t *TimeStamp) Evidence() Evidence {
	if t.Err != nil {
		return Evidence{}
	}
	return EvidenceOf(t.token.Message)
}

// Authority is the certificate that signed the token: of those inside or else
// of the given ones, nil if it is not among them.
func (t *TimeStamp) Authority(others ...*x509.Certificate) *x509.Certificate {
	if t.Err != nil {
		return nil
	}
	return t.token.Signer.Certificate(slices.Concat(t.token.Message.Certificates, others))
}

// rank orders those of one second, in which they can only have been made so.
func (t *TimeStamp) rank() int {
	return slices.Index([]Kind{ContentTimeStamp, SignatureTimeStamp, ArchiveTimeStamp}, t.Kind)
}

// Check computes the imprint again and says whether the time-stamp is of this
// signature. The content is that of a detached signature; of an attached one it
// is nil, and so it may be for a signature-time-stamp. For a document
// time-stamp it is what the ByteRange covers.
func (t *TimeStamp) Check(content io.Reader) error {
	if t.Err != nil {
		return t.Err
	}
	var imprint []byte
	var err error
	switch t.Kind {
	case SignatureTimeStamp:
		imprint = SignatureImprint(t.subject.signer, t.Hash)
	case ContentTimeStamp:
		imprint, err = t.subject.contentDigest(content, t.Hash)
	case ArchiveTimeStamp:
		imprint, err = t.archiveImprint(content)
	case DocumentTimeStamp:
		imprint, err = documentDigest(content, t.Hash)
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(imprint, t.Imprint) {
		return fmt.Errorf("%w: the %s is of something else", ErrTimeStamp, t.Kind)
	}
	return nil
}

// SignatureImprint is what a signature-time-stamp stamps: the hash of the
// signature value (EN 319 122-1, 5.3).
func SignatureImprint(s *cms.SignerInfo, hash crypto.Hash) []byte { return sum(hash, s.Signature) }

// AddSignatureTimeStamp makes a signature B-T. The token has to be of this
// signature value; whose it is has been checked by who asked for it.
func AddSignatureTimeStamp(m *cms.Message, signer int, der []byte) error {
	s, err := signerOf(m, signer)
	if err != nil {
		return err
	}
	if oldArchive(s) {
		return ErrOldArchive
	}
	t, err := readToken(der)
	if err != nil {
		return err
	}
	if _, err := hashIdentifier(t.Hash); err != nil {
		return err
	}
	if !bytes.Equal(t.Digest, SignatureImprint(s, t.Hash)) {
		return fmt.Errorf("%w: it is not of this signature value", ErrTimeStamp)
	}
	return add(m, signer, cms.Attribute{Type: idSignatureTimeStamp, Value: der})
}

func add(m *cms.Message, signer int, a cms.Attribute) error {
	if err := m.AddUnsigned(signer, a); err != nil {
		return fmt.Errorf("adding attribute %v: %w", a.Type, err)
	}
	return nil
}

func signerOf(m *cms.Message, signer int) (*cms.SignerInfo, error) {
	if signer < 0 || signer >= len(m.Signers) {
		return nil, fmt.Errorf("%w: %d of %d", ErrNoSigner, signer, len(m.Signers))
	}
	return m.Signers[signer], nil
}

func oldArchive(s *cms.SignerInfo) bool {
	return slices.ContainsFunc(s.Unsigned, func(a cms.MultiAttribute) bool {
		return slices.ContainsFunc(oldArchives(), a.Type.Equal)
	})
}

// ErrContent is the answer to a content that is not the signed one.
var ErrContent = errors.New("content is not the signed content")

func documentDigest(content io.Reader, hash crypto.Hash) ([]byte, error) {
	if content == nil {
		return nil, fmt.Errorf("%w: there is none", ErrContent)
	}
	h := hash.New()
	if _, err := io.Copy(h, content); err != nil {
		return nil, fmt.Errorf("reading the content: %w", err)
	}
	return h.Sum(nil), nil
}

// contentDigest reads an attached content once for each hash.
func (s *subject) contentDigest(content io.Reader, hash crypto.Hash) ([]byte, error) {
	if digest, done := s.content[hash]; done {
		return digest, nil
	}
	digest, err := contentDigest(s.message, s.signer, content, hash)
	if err == nil && s.message.Attached() {
		s.content[hash] = digest
	}
	return digest, err
}

// contentDigest is the hash of the content, after making sure that it is the
// signed one: a time-stamp over another would be worthless for ever.
func contentDigest(m *cms.Message, s *cms.SignerInfo, content io.Reader, hash crypto.Hash) ([]byte, error) {
	switch {
	case m.Attached():
		content = m.Content()
	case content == nil:
		return nil, fmt.Errorf("%w: there is none, and the signature is detached", ErrContent)
	}
	if s.Hash == 0 {
		return nil, fmt.Errorf("%w: digest %v", ErrUnsupported, s.DigestAlgorithm)
	}
	wanted := hash.New()
	own, into := wanted, io.Writer(wanted)
	if hash != s.Hash {
		own = s.Hash.New()
		into = io.MultiWriter(own, wanted)
	}
	if _, err := io.Copy(into, content); err != nil {
		return nil, fmt.Errorf("reading the content: %w", err)
	}
	if !bytes.Equal(own.Sum(nil), s.MessageDigest()) {
		return nil, ErrContent
	}
	return wanted.Sum(nil), nil
}
