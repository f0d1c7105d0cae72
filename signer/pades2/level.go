package pades

import (
	"bytes"
	"crypto/x509"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// LevelOf is the level that a signature has by what stands in the document (EN
// 319 142-1, 6.3), never a higher one; empty is none. That says nothing about
// whether anything is valid. Signatures are all of the document, as Signatures
// lists them.
//
// B-T asks for a time-stamp inside the signature or a document time-stamp behind
// it; B-LT besides for the certificates up to self-signed ones or to an anchor,
// and revocation values for all below those, of the signer and of that
// time-stamp; B-LTA for a document time-stamp that covers all of that.
func LevelOf(f *pdf.File, s *Signature, signatures []*Signature, anchors ...*x509.Certificate) (cades.Level, error) {
	if s.Type != "Sig" || s.SubFilter != "ETSI.CAdES.detached" || !s.Whole {
		return "", nil
	}
	message := open(s)
	if message == nil || len(message.Signers) != 1 || cades.LevelOf(message, 0) == "" {
		return "", nil
	}
	l := leveller{file: f, signature: s, message: message, anchors: anchors}
	for _, other := range signatures {
		if other.Type == "DocTimeStamp" && other.SubFilter == "ETSI.RFC3161" && other.Whole &&
			other.Revision > s.Revision && open(other) != nil {
			l.stamps = append(l.stamps, other)
		}
	}
	return l.level()
}

// open reads the CMS of a signature; nil if there is none.
func open(s *Signature) *cms.Message {
	der, err := s.CMS()
	if err != nil {
		return nil
	}
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	if err != nil {
		return nil
	}
	return m
}

// leveller looks for the level of one signature.
type leveller struct {
	file      *pdf.File
	signature *Signature
	message   *cms.Message
	stamps    []*Signature // document time-stamps behind it
	anchors   []*x509.Certificate
}

func (l leveller) level() (cades.Level, error) {
	proofs, err := l.proofs()
	if err != nil || len(proofs) == 0 {
		return cades.BB, err
	}
	whole, err := l.complete(l.file, proofs)
	if err != nil || !whole {
		return cades.BT, err
	}
	for _, stamp := range l.stamps {
		then, err := l.file.At(l.file.Revisions()[stamp.Revision])
		if err != nil {
			return cades.BLT, err
		}
		// A document time-stamp does not prove the time of its own evidence.
		earlier := func(p proof) bool { return p.revision < stamp.Revision }
		covered := proofs[:0:0]
		for _, p := range proofs {
			if earlier(p) {
				covered = append(covered, p)
			}
		}
		if whole, err := l.complete(then, covered); err != nil || whole {
			return cades.BLTA, err
		}
	}
	return cades.BLT, nil
}

// proof is a time-stamp that proves when the signature was there.
type proof struct {
	message  *cms.Message
	contents []byte // of a document time-stamp
	revision int
}

// proofs are the time-stamps inside the signature, and those behind it.
func (l leveller) proofs() ([]proof, error) {
	inside, err := cades.TimeStamps(l.message, 0)
	if err != nil {
		return nil, nil //nolint:nilerr // what cannot be read proves nothing
	}
	var out []proof
	for _, t := range inside {
		if t.Kind != cades.SignatureTimeStamp || t.Check(nil) != nil {
			continue
		}
		if m, err := cms.Open(bytes.NewReader(t.Token), int64(len(t.Token))); err == nil {
			out = append(out, proof{message: m, revision: l.signature.Revision})
		}
	}
	for _, stamp := range l.stamps {
		out = append(out, proof{message: open(stamp), contents: stamp.Contents, revision: stamp.Revision})
	}
	return out, nil
}

// complete says whether the document has, besides the signer's, the evidence of
// at least one of the proofs.
func (l leveller) complete(f *pdf.File, proofs []proof) (bool, error) {
	store, err := DSS(f)
	if err != nil {
		return false, err
	}
	evidence := store.For(l.signature.Contents).Merge(cades.EvidenceOf(l.message))
	signer := l.message.Signers[0].Certificate(evidence.Certificates)
	if signer == nil {
		return false, nil
	}
	for _, p := range proofs {
		all := evidence.Merge(cades.EvidenceOf(p.message))
		if p.contents != nil {
			all = all.Merge(store.VRI[VRI{Contents: p.contents}.Key()])
		}
		authority := p.message.Signers[0].Certificate(all.Certificates)
		if authority != nil && len(cades.Missing([]*x509.Certificate{signer, authority}, all, l.anchors...)) == 0 {
			return true, nil
		}
	}
	return false, nil
}
