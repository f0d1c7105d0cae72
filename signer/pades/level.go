package pades

import (
	"bytes"
	"crypto/x509"
	"io"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// LevelOf is the level that a signature has by what stands in the document (EN
// 319 142-1, 6.3), never a higher one; empty is none. That says nothing about
// whether anything is valid. Signatures are all of the document, as Signatures
// lists them.
//
// B-T asks for a time-stamp of the signature value inside the signature, or for
// a document time-stamp behind it; B-LT besides for the certificates up to
// self-signed ones or to an anchor, and revocation values for all below those, of
// the signer and of that time-stamp; B-LTA for a document time-stamp that covers
// all of that.
func LevelOf(f *pdf.File, s *Signature, signatures []*Signature, anchors ...*x509.Certificate) (cades.Level, error) {
	if s.Type != "Sig" || s.SubFilter != "ETSI.CAdES.detached" || !s.Whole {
		return "", nil
	}
	der, err := s.CMS()
	if err != nil {
		return "", nil //nolint:nilerr // no signature has no level
	}
	message, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	if err != nil || len(message.Signers) != 1 || cades.LevelOf(message, 0) == "" {
		return "", nil //nolint:nilerr // as above
	}
	l := leveller{file: f, signature: s, message: message, anchors: anchors}
	l.stamps = s.stampsInside(message)
	for _, other := range signatures {
		if t := other.timeStamp(f); t != nil && other.Revision > s.Revision {
			l.stamps = append(l.stamps, proof{t, other})
		}
	}
	return l.level()
}

// Covered reads what the ByteRange names.
func (s *Signature) Covered(f *pdf.File) io.Reader {
	part := func(at, length int64) io.Reader { return io.NewSectionReader(f.Reader(), at, length) }
	return io.MultiReader(part(s.ByteRange[0], s.ByteRange[1]), part(s.ByteRange[2], s.ByteRange[3]))
}

// timeStamp reads a document time-stamp; nil of anything else, and of one that
// stamps something else.
func (s *Signature) timeStamp(f *pdf.File) *cades.TimeStamp {
	if s.Type != "DocTimeStamp" || s.SubFilter != "ETSI.RFC3161" || !s.Whole {
		return nil
	}
	der, err := s.CMS()
	if err != nil {
		return nil
	}
	t, err := cades.ReadTimeStamp(der)
	if err != nil || t.Check(s.Covered(f)) != nil {
		return nil
	}
	return t
}

// stampsInside are the signature's own time-stamps.
func (s *Signature) stampsInside(m *cms.Message) []proof {
	stamps, err := cades.TimeStamps(m, 0)
	if err != nil {
		return nil // what cannot be read proves nothing
	}
	var out []proof
	for _, t := range stamps {
		if t.Kind == cades.SignatureTimeStamp && t.Check(nil) == nil {
			out = append(out, proof{t, s})
		}
	}
	return out
}

// proof is a time-stamp with the signature in which it stands: the one whose
// level is asked for, or a document time-stamp.
type proof struct {
	*cades.TimeStamp
	in *Signature
}

// leveller looks for the level of one signature.
type leveller struct {
	file      *pdf.File
	signature *Signature
	message   *cms.Message
	stamps    []proof
	anchors   []*x509.Certificate
}

func (l leveller) level() (cades.Level, error) {
	if len(l.stamps) == 0 {
		return cades.BB, nil
	}
	if whole, err := l.complete(l.file, l.stamps); err != nil || !whole {
		return cades.BT, err
	}
	for _, archive := range l.stamps {
		if archive.Kind != cades.DocumentTimeStamp {
			continue
		}
		then, err := l.file.At(l.file.Revisions()[archive.in.Revision])
		if err != nil {
			return cades.BLT, err
		}
		// None proves the time of its own evidence.
		later := func(p proof) bool { return p.in.Revision >= archive.in.Revision }
		covered := slices.DeleteFunc(slices.Clone(l.stamps), later)
		if whole, err := l.complete(then, covered); err != nil {
			return cades.BLT, err
		} else if whole {
			return cades.BLTA, nil
		}
	}
	return cades.BLT, nil
}

// complete says whether the document has the evidence about the signer and
// about at least one of the time-stamps.
func (l leveller) complete(f *pdf.File, stamps []proof) (bool, error) {
	store, err := DSS(f)
	if err != nil {
		return false, err
	}
	evidence := store.For(l.signature.Contents).Merge(cades.EvidenceOf(l.message))
	signer := l.message.Signers[0].Certificate(evidence.Certificates)
	for _, p := range stamps {
		all := evidence.Merge(p.Evidence()).Merge(store.For(p.in.Contents))
		authority := p.Authority(all.Certificates...)
		if signer == nil || authority == nil {
			continue
		}
		if len(cades.Missing([]*x509.Certificate{signer, authority}, all, l.anchors...)) == 0 {
			return true, nil
		}
	}
	return false, nil
}
