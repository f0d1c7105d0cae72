package cms

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"slices"
)

// CRLs are the revocation lists of crls (RFC 5652, 10.2.1), DER.
func (m *Message) CRLs() [][]byte {
	var lists [][]byte
	for _, r := range m.revocations.elements {
		if r[0] == tagSequence {
			lists = append(lists, r)
		}
	}
	return lists
}

// OCSPs are the OCSP answers of crls: complete OCSPResponses, which RFC 5940 puts
// there, and those that stand as BasicOCSPResponse, with the rest around them.
func (m *Message) OCSPs() [][]byte {
	var answers [][]byte
	for _, r := range m.revocations.elements {
		if answer := OCSPIn(r); answer != nil {
			answers = append(answers, answer)
		}
	}
	return answers
}

// OCSPIn is the answer in one of RawRevocations, as OCSPs has it; nil if it holds
// none.
func OCSPIn(choice []byte) []byte {
	members, err := elements(choice)
	if err != nil || choice[0] != context1Set || len(members) != 2 || members[1][0] != tagSequence {
		return nil
	}
	switch format := oidOf(members[0]); {
	case format.Equal(idOCSPResponse):
		return members[1]
	case format.Equal(idOCSPBasic):
		return wrapBasic(members[0], members[1])
	default:
		return nil
	}
}

// wrapBasic makes a successful OCSPResponse (RFC 6960, 4.2.1).
func wrapBasic(oid, basic []byte) []byte {
	return wrap(tagSequence, wrap(tagEnumerated, []byte{0}),
		wrap(context0Set, wrap(tagSequence, oid, wrap(tagOctets, basic))))
}

// AddRevocations adds what is not there yet: revocation lists, and complete
// OCSPResponses, these as RFC 5940, 2.1 has it.
func (m *Message) AddRevocations(crls, ocsps [][]byte) error {
	format, err := asn1.Marshal(idOCSPResponse)
	if err != nil {
		return fmt.Errorf("encoding a format: %w", err)
	}
	for _, der := range slices.Concat(crls, ocsps) {
		c := cursor{rest: der}
		if e, err := c.expect(tagSequence, "revocation data"); err != nil || !c.empty() || !bytes.Equal(e, der) {
			return fmt.Errorf("%w: revocation data", ErrMalformed)
		}
	}
	for _, list := range crls {
		m.revocations.add(list)
	}
	present := m.OCSPs()
	for _, answer := range ocsps {
		if !slices.ContainsFunc(present, func(p []byte) bool { return bytes.Equal(p, answer) }) {
			m.revocations.add(wrap(context1Set, format, answer))
		}
	}
	return m.settleVersion()
}
