package cms

import "fmt"

// CounterSignatures are those over this signature's value (RFC 5652, 11.4). Each
// is verified with its HashOf(s.Signature) as digest of the content, and may be
// countersigned itself.
func (s *SignerInfo) CounterSignatures() ([]*SignerInfo, error) {
	var counters []*SignerInfo
	for _, value := range s.UnsignedValues(idCounterSignature) {
		counter, err := readSigner(value)
		if err != nil {
			return nil, err
		}
		counter.counter = true
		counters = append(counters, counter)
	}
	return counters, nil
}

// CounterSignature is the unsigned attribute that countersigns a signature. Its
// signed attributes hold the digest of that signature's value, and no
// content-type (RFC 5652, 11.4). The attribute has no place for certificates:
// they go to the Message.
func CounterSignature(p Parts) (Attribute, error) {
	raw, err := encodeSigner(p)
	if err != nil {
		return Attribute{}, err
	}
	s, err := readSigner(raw)
	if err != nil {
		return Attribute{}, err
	}
	if p.Content != nil || s.MessageDigest() == nil || len(valuesOf(s.Signed, idContentType)) > 0 {
		return Attribute{}, fmt.Errorf("%w: attributes of a countersignature", ErrMalformed)
	}
	return Attribute{Type: idCounterSignature, Value: raw}, nil
}
