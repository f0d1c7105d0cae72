package cms

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"slices"
)

// Conforms says what of RFC 5652 the message does not keep to although it can be
// read, and its signatures do not cover it: versions, the listed digest
// algorithms, sets that must not be empty, attributes that stand there twice.
// Baseline signatures have to keep to all of it; others are accepted without.
func (m *Message) Conforms() error {
	again := *m
	if err := again.settleVersion(); err != nil {
		return err
	}
	if !bytes.Equal(again.version, m.version) {
		return fmt.Errorf("%w: version of SignedData", ErrMalformed)
	}
	if len(m.Signers) == 0 || m.certificates.present && len(m.certificates.elements) == 0 ||
		m.revocations.present && len(m.revocations.elements) == 0 {
		return fmt.Errorf("%w: an empty set", ErrMalformed)
	}
	var listed []asn1.ObjectIdentifier
	for _, raw := range m.digestAlgorithms.elements {
		var a algorithm
		if rest, err := asn1.Unmarshal(raw, &a); err != nil || len(rest) > 0 {
			return fmt.Errorf("%w: digest algorithms", ErrMalformed)
		}
		listed = append(listed, a.OID)
	}
	for _, s := range m.Signers {
		if !slices.ContainsFunc(listed, s.DigestAlgorithm.Equal) {
			return fmt.Errorf("%w: a digest algorithm that is not listed", ErrMalformed)
		}
		if err := s.conforms(); err != nil {
			return err
		}
	}
	return nil
}

func (s *SignerInfo) conforms() error {
	want := version
	if s.Serial == nil {
		want = 3
	}
	if !bytes.Equal(s.fields[0], []byte{tagInteger, 1, byte(want)}) {
		return fmt.Errorf("%w: version of SignerInfo", ErrMalformed)
	}
	if s.SignedAttributes != nil && len(s.Signed) == 0 || s.unsigned.present && len(s.Unsigned) == 0 {
		return fmt.Errorf("%w: an empty set of attributes", ErrMalformed)
	}
	for i, a := range s.Signed {
		twice := func(other MultiAttribute) bool { return len(a.Type) > 0 && other.Type.Equal(a.Type) }
		if len(a.Values) == 0 || slices.ContainsFunc(s.Signed[:i], twice) {
			return fmt.Errorf("%w: attribute %v", ErrMalformed, a.Type)
		}
	}
	return nil
}
