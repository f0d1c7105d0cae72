package cms

import (
	"bytes"
	"fmt"
	"slices"
)

// Merge adds the signers of another message over the same content, with their
// unsigned attributes and with the certificates and revocation data beside them.
// Signers that are there already are not added again; none changes. Neither
// message needs its content; ErrContentMismatch if it is seen to be another one.
// What Merge returns an error for is not to be written.
func (m *Message) Merge(other *Message) error {
	if !bytes.Equal(m.contentType, other.contentType) {
		return fmt.Errorf("%w: content-type", ErrContentMismatch)
	}
	for _, s := range other.Signers {
		raw := s.encode()
		if slices.ContainsFunc(m.Signers, func(known *SignerInfo) bool { return bytes.Equal(known.encode(), raw) }) {
			continue
		}
		added, err := readSigner(raw)
		if err != nil {
			return err
		}
		added.contentType = m.contentType
		if err := m.sameContent(added); err != nil {
			return err
		}
		m.Signers = append(m.Signers, added)
	}
	for _, algorithm := range other.digestAlgorithms.elements {
		m.digestAlgorithms.add(algorithm)
	}
	for _, raw := range other.certificates.elements {
		m.certificates.add(raw)
	}
	for _, raw := range other.revocations.elements {
		m.revocations.add(raw)
	}
	for _, c := range other.Certificates {
		if !slices.ContainsFunc(m.Certificates, c.Equal) {
			m.Certificates = append(m.Certificates, c)
		}
	}
	return m.settleVersion()
}
