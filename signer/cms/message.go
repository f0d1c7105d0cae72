package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"hash"
	"io"
	"slices"
)

const (
	// maxRest bounds everything but the content: certificates, revocation data
	// and signers.
	maxRest = 32 << 20
	// maxRead bounds the certificates, which cost a multiple of their octets.
	maxRead = 4 << 20
	// maxMembers bounds how many certificates, revocation data, signers,
	// attributes or values of one there may be, each on its own.
	maxMembers = 4096
)

// Message is a SignedData of any producer, with any number of signers. It keeps
// the octets of all that it does not change, but for lengths and strings that
// stand as only BER allows. It is not safe for concurrent use.
type Message struct {
	// ContentType is eContentType, nil if encoding/asn1 cannot hold it.
	ContentType asn1.ObjectIdentifier
	// Certificates are those that crypto/x509 reads, as they stand;
	// RawCertificates has the others, too.
	Certificates []*x509.Certificate
	// Signers are as they stand; added ones are at the end, until the message is
	// opened again.
	Signers []*SignerInfo

	outerType        []byte // id-signedData
	version          []byte
	digestAlgorithms set
	contentType      []byte
	content          *content // nil: detached
	certificates     set
	revocations      set
	signersInOrder   bool
}

// set is a SET OF. One that others have written out of DER's order (X.690, 11.6)
// stays so: what is added goes to its end, because an older archive time-stamp
// may depend on it.
type set struct {
	present, inOrder bool
	elements         [][]byte
}

func readSet(element []byte) (set, error) {
	members, err := elements(element)
	if err != nil {
		return set{}, err
	}
	return set{present: true, inOrder: slices.IsSortedFunc(members, bytes.Compare), elements: members}, nil
}

// encode gives nothing for a set that is not there.
func (s *set) encode(identifier byte) []byte {
	if !s.present {
		return nil
	}
	return encodeSet(identifier, s.elements, s.inOrder)
}

func encodeSet(identifier byte, members [][]byte, sorted bool) []byte {
	if sorted {
		members = slices.SortedFunc(slices.Values(members), bytes.Compare)
	}
	return wrap(identifier, members...)
}

// add adds what is not there yet.
func (s *set) add(element []byte) bool {
	if slices.ContainsFunc(s.elements, func(e []byte) bool { return bytes.Equal(e, element) }) {
		return false
	}
	if !s.present {
		s.present, s.inOrder = true, true
	}
	s.elements = append(s.elements, element)
	return true
}

// Open reads a SignedData. Attached content is not held, only found: r has to
// give the same octets as long as the Message is used. What is not SignedData
// gives ErrMalformed; algorithms that are not known do not hinder reading.
func Open(r io.ReaderAt, size int64) (*Message, error) {
	s := &scanner{r: r, size: size}
	m := &Message{}
	if err := m.readHead(s); err != nil {
		return nil, err
	}
	if err := m.readContent(s); err != nil {
		return nil, err
	}
	if err := m.readMembers(s); err != nil {
		return nil, err
	}
	for len(s.open) > 0 { // SignedData, [0], ContentInfo
		if err := s.leave(); err != nil {
			return nil, err
		}
	}
	if s.off != size {
		return nil, fmt.Errorf("%w: octets behind the end", ErrMalformed)
	}
	return m, nil
}

// readHead reads what stands before the content.
func (m *Message) readHead(s *scanner) error {
	if err := s.enter(tagSequence); err != nil {
		return err
	}
	var err error
	if m.outerType, err = s.element(tagOID, maxHead); err != nil {
		return err
	}
	if !oidOf(m.outerType).Equal(idSignedData) {
		return fmt.Errorf("%w: not SignedData", ErrMalformed)
	}
	if err := s.enter(context0Set, tagSequence); err != nil {
		return err
	}
	if m.version, err = s.element(tagInteger, maxHead); err != nil {
		return err
	}
	algorithms, err := s.element(tagSet, maxHead)
	if err != nil {
		return err
	}
	m.digestAlgorithms, err = readSet(algorithms)
	return err
}

// readContent reads EncapsulatedContentInfo (RFC 5652, 5.2).
func (m *Message) readContent(s *scanner) error {
	if err := s.enter(tagSequence); err != nil {
		return err
	}
	var err error
	if m.contentType, err = s.element(tagOID, maxHead); err != nil {
		return err
	}
	m.ContentType = oidOf(m.contentType)
	attached, err := s.at(context0Set)
	if err != nil {
		return err
	}
	if attached {
		if err := s.enter(context0Set); err != nil {
			return err
		}
		if m.content, s.off, err = locate(&s.source, s.off, s.limit()); err != nil {
			return err
		}
		if err := s.leave(); err != nil {
			return err
		}
	}
	return s.leave()
}

// readMembers reads certificates, crls and signerInfos.
func (m *Message) readMembers(s *scanner) error {
	for _, optional := range []struct {
		identifier byte
		most       int64
		set        *set
	}{{context0Set, maxRead, &m.certificates}, {context1Set, maxRest, &m.revocations}} {
		there, err := s.at(optional.identifier)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		element, err := s.element(optional.identifier, optional.most)
		if err != nil {
			return err
		}
		if *optional.set, err = readSet(element); err != nil {
			return err
		}
	}
	for _, raw := range m.certificates.elements {
		if certificate, err := x509.ParseCertificate(raw); err == nil {
			m.Certificates = append(m.Certificates, certificate)
		}
	}
	element, err := s.element(tagSet, maxRest)
	if err != nil {
		return err
	}
	signers, err := readSet(element)
	if err != nil {
		return err
	}
	m.signersInOrder = signers.inOrder
	for _, raw := range signers.elements {
		signer, err := readSigner(raw)
		if err != nil {
			return err
		}
		signer.contentType = m.contentType
		m.Signers = append(m.Signers, signer)
	}
	return nil
}

// Attached says whether the content stands inside.
func (m *Message) Attached() bool { return m.content != nil }

// ContentSize is how many octets the attached content has; 0 if there is none.
func (m *Message) ContentSize() int64 {
	if m.content == nil {
		return 0
	}
	return m.content.size
}

// Content reads the attached content from its beginning; nil if there is none.
func (m *Message) Content() io.Reader {
	if m.content == nil {
		return nil
	}
	return m.content.reader()
}

// Digests reads a content once, and gives its digest by each hash that a signer
// names. Without a content (nil) it is the attached one.
func (m *Message) Digests(content io.Reader) (map[crypto.Hash][]byte, error) {
	if content == nil {
		if content = m.Content(); content == nil {
			return nil, fmt.Errorf("%w: no content", ErrContentMismatch)
		}
	}
	hashes := map[crypto.Hash]hash.Hash{}
	var all []io.Writer
	for _, s := range m.Signers {
		if s.Hash != 0 && hashes[s.Hash] == nil {
			hashes[s.Hash] = s.Hash.New()
			all = append(all, hashes[s.Hash])
		}
	}
	if _, err := io.Copy(io.MultiWriter(all...), content); err != nil {
		return nil, fmt.Errorf("reading the content: %w", err)
	}
	digests := map[crypto.Hash][]byte{}
	for name, h := range hashes {
		digests[name] = h.Sum(nil)
	}
	return digests, nil
}

// RawCertificates are all members of certificates, of whatever kind (RFC 5652,
// 10.2.2), in the order in which they stand.
func (m *Message) RawCertificates() [][]byte { return slices.Clone(m.certificates.elements) }

// RawRevocations are all members of crls, of whatever kind (RFC 5652, 10.2.1),
// in the order in which they stand.
func (m *Message) RawRevocations() [][]byte { return slices.Clone(m.revocations.elements) }

// oidOf reads an object identifier; nil if encoding/asn1 cannot hold it.
func oidOf(element []byte) asn1.ObjectIdentifier {
	var oid asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(element, &oid); err != nil || len(rest) > 0 {
		return nil
	}
	return oid
}
