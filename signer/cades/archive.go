package cades

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ErrChanged is the answer to a hash index that is not of the signature as it
// stands now.
var ErrChanged = errors.New("the signature has changed since the archive time-stamp was asked for")

// ArchiveImprint is what an archive-time-stamp-v3 of the signature, as it stands,
// has to stamp, and the ats-hash-index-v3 that goes with it. The content is that
// of a detached signature, nil of an attached one.
func ArchiveImprint(m *cms.Message, signer int, content io.Reader, hash crypto.Hash) (imprint, index []byte, err error) {
	s, err := signerOf(m, signer)
	if err != nil {
		return nil, nil, err
	}
	if index, err = indexOf(m, s, hash); err != nil {
		return nil, nil, err
	}
	digest, err := contentDigest(m, s, content, hash)
	if err != nil {
		return nil, nil, err
	}
	imprint, err = archiveImprint(m, s, hash, digest, index)
	return imprint, index, err
}

// AddArchiveTimeStamp makes a signature B-LTA, or renews one that is. The token
// has to be of the imprint that ArchiveImprint gave with the hash index, and the
// message unchanged since. Validation data for older time-stamps of the signature
// have to be there before: AddEvidence adds them.
func AddArchiveTimeStamp(m *cms.Message, signer int, der, index []byte) error {
	s, err := signerOf(m, signer)
	if err != nil {
		return err
	}
	t, err := readToken(der)
	if err != nil {
		return err
	}
	now, err := indexOf(m, s, t.Hash)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, index) {
		return ErrChanged
	}
	if err := checkArchive(m, s, t, index); err != nil {
		return err
	}
	if der, err = withIndex(t, index); err != nil {
		return err
	}
	// 5.5.3, 2: "should be included in the SignedData.digestAlgorithms set".
	if err := m.AddDigestAlgorithm(t.Hash); err != nil {
		return fmt.Errorf("naming the hash of the archive time-stamp: %w", err)
	}
	return add(m, signer, cms.Attribute{Type: idArchiveTimeStamp, Value: der})
}

// checkArchive refuses a token of something else, where the content's digest is
// known without the content.
func checkArchive(m *cms.Message, s *cms.SignerInfo, t *cms.Token, index []byte) error {
	digest := s.MessageDigest()
	if t.Hash != s.Hash {
		if !m.Attached() {
			return nil
		}
		var err error
		if digest, err = contentDigest(m, s, nil, t.Hash); err != nil {
			return err
		}
	}
	imprint, err := archiveImprint(m, s, t.Hash, digest, index)
	if err != nil {
		return err
	}
	if !bytes.Equal(imprint, t.Digest) {
		return fmt.Errorf("%w: it is not of this signature", ErrTimeStamp)
	}
	return nil
}

// archiveImprint hashes what EN 319 122-1, 5.5.3 lists, in its order.
func archiveImprint(m *cms.Message, s *cms.SignerInfo, hash crypto.Hash, contentDigest, index []byte) ([]byte, error) {
	contentType, err := asn1.Marshal(m.ContentType)
	if err != nil {
		return nil, fmt.Errorf("encoding content type: %w", err)
	}
	parts := slices.Concat([][]byte{contentType, contentDigest}, s.ImprintFields(), [][]byte{index})
	return sum(hash, parts...), nil
}

// withIndex is the token with the index among its unsigned attributes, where
// 5.5.2 wants it.
func withIndex(t *cms.Token, index []byte) ([]byte, error) {
	if err := add(t.Message, 0, cms.Attribute{Type: idHashIndex, Value: index}); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Message.Write(&out); err != nil {
		return nil, fmt.Errorf("writing the token: %w", err)
	}
	return out.Bytes(), nil
}

// covered is the evidence that an archive time-stamp covers.
func (t *TimeStamp) covered() Evidence {
	index, _, err := t.checkedIndex()
	if err != nil {
		return Evidence{}
	}
	named := map[string]bool{}
	for _, h := range slices.Concat(index.Certificates, index.Revocations) {
		named[string(h)] = true
	}
	var e Evidence
	for _, c := range t.subject.message.Certificates {
		if named[string(sum(t.Hash, c.Raw))] {
			e.Certificates = append(e.Certificates, c)
		}
	}
	for _, der := range t.subject.message.CRLs() {
		if named[string(sum(t.Hash, der))] {
			e.CRLs = append(e.CRLs, der)
		}
	}
	for _, choice := range t.subject.message.RawRevocations() {
		if answer := cms.OCSPIn(choice); answer != nil && named[string(sum(t.Hash, choice))] {
			e.OCSPs = append(e.OCSPs, answer)
		}
	}
	return e
}

func (t *TimeStamp) archiveImprint(content io.Reader) ([]byte, error) {
	_, index, err := t.checkedIndex()
	if err != nil {
		return nil, err
	}
	digest, err := t.subject.contentDigest(content, t.Hash)
	if err != nil {
		return nil, err
	}
	return archiveImprint(t.subject.message, t.subject.signer, t.Hash, digest, index)
}

// Covers says whether an archive time-stamp proves that an element existed at its
// time: a certificate or revocation value as it stands in the message
// (RawCertificates, RawRevocations), or the token of a time-stamp. It is false
// unless the time-stamp's index is sound, and says nothing without Check.
func (t *TimeStamp) Covers(element []byte) bool {
	if t.Kind != ArchiveTimeStamp {
		return false
	}
	index, _, err := t.checkedIndex()
	if err != nil {
		return false
	}
	has := func(list [][]byte, h []byte) bool {
		return slices.ContainsFunc(list, func(each []byte) bool { return bytes.Equal(each, h) })
	}
	h := sum(t.Hash, element)
	if has(index.Certificates, h) || has(index.Revocations, h) {
		return true
	}
	for _, a := range t.subject.signer.Unsigned {
		if !a.Type.Equal(idSignatureTimeStamp) && !a.Type.Equal(idArchiveTimeStamp) ||
			!slices.ContainsFunc(a.Values, func(v []byte) bool { return bytes.Equal(v, element) }) {
			continue
		}
		one, err := attributeHash(t.Hash, a.Type, element)
		whole, problem := wholeAttribute(t.Hash, a)
		if err == nil && problem == nil && (has(index.Attributes, one) || has(index.Attributes, whole)) {
			return true
		}
	}
	return false
}
