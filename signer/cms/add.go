package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
)

// AddSigner adds a parallel signature, a co-signature, over the same content.
// Those that are there do not change. The parts name their certificates, which
// are added, unless they are Bare; their Content has to be nil. As Assemble, it
// does not verify the value, but it refuses with ErrContentMismatch what was
// signed over another content.
func (m *Message) AddSigner(p Parts) error {
	if p.Content != nil {
		return fmt.Errorf("%w: a signer with a content of its own", ErrMalformed)
	}
	raw, err := encodeSigner(p)
	if err != nil {
		return err
	}
	s, err := readSigner(raw)
	if err != nil {
		return err
	}
	s.contentType = m.contentType
	if !bytes.Equal(s.Attribute(idContentType), m.contentType) {
		return fmt.Errorf("%w: content-type", ErrContentMismatch)
	}
	if err := m.sameContent(s); err != nil {
		return err
	}
	if err := m.AddDigestAlgorithm(p.Hash); err != nil {
		return err
	}
	m.Signers = append(m.Signers, s)
	if p.Bare {
		return m.settleVersion()
	}
	return m.AddCertificates(append([]*x509.Certificate{p.Certificate}, p.Chain...)...)
}

// sameContent compares with another signer's digest by the same hash, else with
// the attached content. Of a detached one nothing else is known.
func (m *Message) sameContent(s *SignerInfo) error {
	for _, other := range m.Signers {
		if other.Hash == s.Hash && other.SignedAttributes != nil {
			if !bytes.Equal(other.MessageDigest(), s.MessageDigest()) {
				return ErrContentMismatch
			}
			return nil
		}
	}
	if m.content == nil {
		return nil
	}
	alone := Message{Signers: []*SignerInfo{s}, content: m.content}
	digests, err := alone.Digests(nil)
	if err != nil {
		return err
	}
	if !bytes.Equal(digests[s.Hash], s.MessageDigest()) {
		return ErrContentMismatch
	}
	return nil
}

// AddDigestAlgorithm lists a hash among those of the message, for verifiers that
// read the content once (RFC 5652, 5.1).
func (m *Message) AddDigestAlgorithm(hash crypto.Hash) error {
	added, err := digestAlgorithm(hash)
	if err != nil {
		return err
	}
	for _, raw := range m.digestAlgorithms.elements {
		var listed algorithm
		if rest, err := asn1.Unmarshal(raw, &listed); err == nil && len(rest) == 0 && listed.OID.Equal(added.OID) {
			return nil
		}
	}
	der, err := asn1.Marshal(added)
	if err != nil {
		return fmt.Errorf("encoding a digest algorithm: %w", err)
	}
	m.digestAlgorithms.add(der)
	return nil
}

// AddUnsigned adds an unsigned attribute to the signer of that index, beside
// those of its type.
func (m *Message) AddUnsigned(signer int, a Attribute) error {
	s, err := m.signer(signer)
	if err != nil {
		return err
	}
	return s.addUnsigned(a)
}

// ReplaceUnsigned puts an unsigned attribute in the place of all of its type.
func (m *Message) ReplaceUnsigned(signer int, a Attribute) error {
	if err := m.RemoveUnsigned(signer, a.Type); err != nil {
		return err
	}
	return m.AddUnsigned(signer, a)
}

// RemoveUnsigned takes all unsigned attributes of a type away.
func (m *Message) RemoveUnsigned(signer int, oid asn1.ObjectIdentifier) error {
	s, err := m.signer(signer)
	if err != nil {
		return err
	}
	if len(oid) == 0 {
		return fmt.Errorf("%w: no type of attribute", ErrMalformed)
	}
	for i, a := range slices.Backward(s.Unsigned) {
		if a.Type.Equal(oid) {
			s.Unsigned = slices.Delete(s.Unsigned, i, i+1)
			s.unsigned.elements = slices.Delete(s.unsigned.elements, i, i+1)
		}
	}
	s.unsigned.present = len(s.unsigned.elements) > 0 // SIZE (1..MAX)
	return nil
}

func (m *Message) signer(i int) (*SignerInfo, error) {
	if i < 0 || i >= len(m.Signers) {
		return nil, fmt.Errorf("%w: no signer %d", ErrMalformed, i)
	}
	return m.Signers[i], nil
}

func (s *SignerInfo) addUnsigned(a Attribute) error {
	der, err := asn1.Marshal(attributeDER{Type: a.Type, Values: []asn1.RawValue{{FullBytes: a.Value}}})
	if err != nil {
		return fmt.Errorf("encoding attribute %v: %w", a.Type, err)
	}
	c := cursor{rest: a.Value}
	if value, err := c.element(); err != nil || !c.empty() || !bytes.Equal(value, a.Value) {
		return fmt.Errorf("%w: value of attribute %v", ErrMalformed, a.Type)
	}
	if s.unsigned.add(der) {
		s.Unsigned = append(s.Unsigned, MultiAttribute{Type: a.Type, Values: [][]byte{a.Value}})
	}
	// The older archive time-stamps cover the attributes in their order (TS 101
	// 733 V1.8.1, 6.4.1); that of DER gives way.
	for _, ordered := range s.Unsigned {
		if ordered.Type.Equal(idArchiveTimeStamp) || ordered.Type.Equal(idArchiveTimeStampV2) {
			s.unsigned.inOrder = false
		}
	}
	return nil
}

// AddCertificates adds those that are not there yet.
func (m *Message) AddCertificates(certificates ...*x509.Certificate) error {
	for _, c := range certificates {
		if c == nil || len(c.Raw) == 0 {
			return fmt.Errorf("%w: no certificate", ErrMalformed)
		}
		if m.certificates.add(c.Raw) {
			m.Certificates = append(m.Certificates, c)
		}
	}
	return m.settleVersion()
}

// settleVersion decides SignedData's version after a change (RFC 5652, 5.1).
func (m *Message) settleVersion() error {
	version := 1
	if !m.ContentType.Equal(idData) {
		version = 3
	}
	for _, s := range m.Signers {
		if s.Serial == nil { // a SignerInfo of version 3
			version = 3
		}
	}
	for _, c := range m.certificates.elements {
		switch c[0] {
		case 0xa1: // attribute certificates of version 1
			version = max(version, 3)
		case 0xa2: // and 2
			version = max(version, 4)
		case 0xa3: // other
			version = 5
		}
	}
	for _, r := range m.revocations.elements {
		if r[0] == context1Set { // other
			version = 5
		}
	}
	var err error
	m.version, err = asn1.Marshal(version)
	if err != nil {
		return fmt.Errorf("encoding the version: %w", err)
	}
	return nil
}
