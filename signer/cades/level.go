package cades

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Level is a baseline level (EN 319 122-1, 6.1); empty is none of them.
type Level string

// The levels, each of which has all that those before it have.
const (
	BB   Level = "B-B"
	BT   Level = "B-T"
	BLT  Level = "B-LT"
	BLTA Level = "B-LTA"
)

// Known says whether l is one of the four.
func (l Level) Known() bool { return l.rank() > 0 }

// AtLeast says whether l has all that other asks for.
func (l Level) AtLeast(other Level) bool { return l.rank() >= other.rank() }

// Levels are all of them, each beyond the one before.
func Levels() []Level { return []Level{BB, BT, BLT, BLTA} }

func (l Level) rank() int { return 1 + slices.Index(Levels(), l) }

var idContentType = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}

// LevelOf is the level that a signature has by what stands in it, never a higher
// one. That says nothing about whether it is valid.
//
// B-T asks for a time-stamp of this signature value; B-LT besides for the
// certificates up to self-signed ones, and revocation values for all below those,
// of the signer and of that time-stamp; B-LTA for an archive time-stamp whose
// index and imprint are sound and which covers all of that. Where a validator has anchors below the
// self-signed certificates, the chain may end there.
func LevelOf(m *cms.Message, signer int, anchors ...*x509.Certificate) Level {
	s, err := signerOf(m, signer)
	if err != nil {
		return ""
	}
	certificate := s.Certificate(m.Certificates)
	if certificate == nil || !baseline(s) {
		return ""
	}
	stamps, err := TimeStamps(m, signer)
	if err != nil {
		return BB
	}
	sound := slices.DeleteFunc(slices.Clone(stamps), func(t *TimeStamp) bool {
		return t.Kind != SignatureTimeStamp || t.Check(nil) != nil
	})
	if len(sound) == 0 {
		return BB
	}
	level, all := BT, readEvidence(EvidenceOf(m))
	archive, archived := newest(stamps)
	for _, t := range sound[:min(len(sound), maxJudged)] {
		inside, authority := readEvidence(t.Evidence()), t.Authority(m.Certificates...)
		if authority == nil {
			continue
		}
		ends := []*x509.Certificate{certificate, authority}
		if len(all.and(inside).missing(ends, anchors)) > 0 {
			continue
		}
		level = BLT
		if archive != nil && archive.Covers(t.Token) && len(archived.and(inside).missing(ends, anchors)) == 0 {
			return BLTA
		}
	}
	return level
}

// maxJudged bounds the signature-time-stamps of which one may give the level.
const maxJudged = 16

// newest is the last archive time-stamp whose index is sound, and the imprint, too,
// as far as it can be computed without a detached content; with the evidence that
// it covers. An index names all that stands there at its time, so that those
// before it cover no more.
func newest(stamps []*TimeStamp) (*TimeStamp, known) {
	for _, t := range slices.Backward(stamps) {
		if t.Kind != ArchiveTimeStamp {
			continue
		}
		_, index, err := t.checkedIndex()
		if err == nil && checkArchive(t.subject.message, t.subject.signer, t.token, index) == nil {
			return t, readEvidence(t.covered())
		}
	}
	return nil, known{}
}

// baseline says whether the signed attributes are those that every level has
// (EN 319 122-1, 6.3). The claimed time is not asked for: a PDF has it elsewhere.
func baseline(s *cms.SignerInfo) bool {
	return s.Attribute(idContentType) != nil && len(s.MessageDigest()) > 0 && s.NamesCertificate()
}
