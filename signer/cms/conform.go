package cms

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"slices"
)

// Coherent says whether what stands beside the signatures agrees with them: a
// version that CMS knows, the signers' digest algorithms among the listed ones,
// and each SignerInfo of the version that its way to name the signer asks for
// (RFC 5652, 5.1 and 5.3). No signature covers it, and no judgement shall depend
// on who changes it. Which of the known versions SignedData has, too many get
// wrong: that is left to Conforms.
func (m *Message) Coherent() error {
	if !slices.ContainsFunc([]byte{1, 3, 4, 5}, func(v byte) bool { return bytes.Equal(m.version, small(v)) }) {
		return fmt.Errorf("%w: version of SignedData", ErrMalformed)
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
		want := byte(version)
		if s.Serial == nil {
			want = 3
		}
		if !bytes.Equal(s.fields[0], small(want)) {
			return fmt.Errorf("%w: version of SignerInfo", ErrMalformed)
		}
	}
	return nil
}

// small is the INTEGER of a number below 128.
func small(n byte) []byte { return []byte{tagInteger, 1, n} }

// Conforms says what of RFC 5652 the message does not keep to although it can be
// read, and its signatures do not cover it: besides what Coherent asks for, the
// very version that its contents give it, no empty sets, no attribute that stands
// there twice. Baseline signatures have to keep to all of it; others are accepted
// without.
func (m *Message) Conforms() error {
	if err := m.Coherent(); err != nil {
		return err
	}
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
	for _, s := range m.Signers {
		if err := s.conforms(); err != nil {
			return err
		}
	}
	return nil
}

func (s *SignerInfo) conforms() error {
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
