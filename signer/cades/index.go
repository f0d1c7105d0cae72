package cades

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

var (
	idHashIndex = asn1.ObjectIdentifier{0, 4, 0, 19122, 1, 5}
	// idOldHashIndex is ats-hash-index (TS 101 733 V2.2.1, 6.4.2), which is read.
	idOldHashIndex = asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 5}
)

// hashIndex is ATSHashIndexV3 (EN 319 122-1, 5.5.2). Each entry is the hash of
// an element with its tag and length; an unsigned attribute has one for each
// value, with the attribute's type before it.
type hashIndex struct {
	Algorithm    pkix.AlgorithmIdentifier
	Certificates [][]byte
	Revocations  [][]byte
	Attributes   [][]byte
}

// elements are the hashes of everything that an index may name now.
func elements(m *cms.Message, s *cms.SignerInfo, hash crypto.Hash) (*hashIndex, error) {
	index := &hashIndex{Certificates: [][]byte{}, Revocations: [][]byte{}, Attributes: [][]byte{}}
	for _, der := range m.RawCertificates() {
		index.Certificates = append(index.Certificates, sum(hash, der))
	}
	for _, der := range m.RawRevocations() {
		index.Revocations = append(index.Revocations, sum(hash, der))
	}
	for _, a := range s.Unsigned {
		for _, der := range a.Values {
			h, err := attributeHash(hash, a.Type, der)
			if err != nil {
				return nil, err
			}
			index.Attributes = append(index.Attributes, h)
		}
	}
	return index, nil
}

// wholeAttribute is the hash that an ats-hash-index has of an unsigned attribute,
// with all its values.
func wholeAttribute(hash crypto.Hash, a cms.MultiAttribute) ([]byte, error) {
	der, err := asn1.Marshal(struct {
		Type   asn1.ObjectIdentifier
		Values asn1.RawValue
	}{a.Type, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: bytes.Join(a.Values, nil)}})
	if err != nil {
		return nil, fmt.Errorf("encoding attribute %v: %w", a.Type, err)
	}
	return sum(hash, der), nil
}

func attributeHash(hash crypto.Hash, oid asn1.ObjectIdentifier, value []byte) ([]byte, error) {
	attrType, err := asn1.Marshal(oid)
	if err != nil {
		return nil, fmt.Errorf("encoding attribute type %v: %w", oid, err)
	}
	return sum(hash, attrType, value), nil
}

// indexOf encodes the index. Its lists are sorted: the sets that they are of have
// no order of their own, and so the same signature has the same index.
func indexOf(m *cms.Message, s *cms.SignerInfo, hash crypto.Hash) ([]byte, error) {
	oid, err := hashIdentifier(hash)
	if err != nil {
		return nil, err
	}
	index, err := elements(m, s, hash)
	if err != nil {
		return nil, err
	}
	index.Algorithm.Algorithm = oid
	for _, list := range [][][]byte{index.Certificates, index.Revocations, index.Attributes} {
		slices.SortFunc(list, bytes.Compare)
	}
	der, err := asn1.Marshal(*index)
	if err != nil {
		return nil, fmt.Errorf("encoding ats-hash-index-v3: %w", err)
	}
	return der, nil
}

// readIndex demands DER (5.5.2). An ats-hash-index may leave out the algorithm,
// which is SHA-256 then.
func readIndex(der []byte, old bool) (*hashIndex, error) {
	var members []asn1.RawValue
	rest, err := asn1.Unmarshal(der, &members)
	if err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: malformed hash index", ErrTimeStamp)
	}
	index := &hashIndex{}
	if old && len(members) == 3 {
		if index.Algorithm.Algorithm, err = hashIdentifier(crypto.SHA256); err != nil {
			return nil, err
		}
		lists := struct{ Certificates, Revocations, Attributes [][]byte }{}
		if err := exactly(der, &lists); err != nil {
			return nil, err
		}
		index.Certificates, index.Revocations, index.Attributes = lists.Certificates, lists.Revocations, lists.Attributes
		return index, nil
	}
	return index, exactly(der, index)
}

// exactly reads what encoding/asn1 would write octet by octet.
func exactly[T any](der []byte, value *T) error {
	rest, err := asn1.Unmarshal(der, value)
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("%w: malformed hash index", ErrTimeStamp)
	}
	if again, err := asn1.Marshal(*value); err != nil || !bytes.Equal(again, der) {
		return fmt.Errorf("%w: a hash index that is not DER", ErrTimeStamp)
	}
	return nil
}

// indexIn is the one hash index of an archive time-stamp, also as it stands, and
// whether it is of the old kind.
func indexIn(t *cms.Token) (index *hashIndex, der []byte, old bool, err error) {
	values, before := t.Signer.UnsignedValues(idHashIndex), t.Signer.UnsignedValues(idOldHashIndex)
	if len(values)+len(before) != 1 {
		return nil, nil, false, fmt.Errorf("%w: an archive time-stamp with %d hash indexes", ErrTimeStamp, len(values)+len(before))
	}
	der, old = append(values, before...)[0], len(before) > 0
	if index, err = readIndex(der, old); err != nil {
		return nil, nil, false, err
	}
	if hash, err := cms.DigestOf(index.Algorithm.Algorithm); err != nil || hash != t.Hash {
		return nil, nil, false, fmt.Errorf("%w: a hash index by %v, the imprint by %v", ErrTimeStamp, index.Algorithm.Algorithm, t.Hash)
	}
	return index, der, old, nil
}

// checkedIndex is the index after the check of 5.5.2: everything that it names is
// still there.
func (t *TimeStamp) checkedIndex() (*hashIndex, []byte, error) {
	if t.Err != nil {
		return nil, nil, t.Err
	}
	index, der, old, err := indexIn(t.token)
	if err != nil {
		return nil, nil, err
	}
	now := t.subject.elements[t.Hash]
	if now == nil {
		if now, err = elements(t.subject.message, t.subject.signer, t.Hash); err != nil {
			return nil, nil, err
		}
		t.subject.elements[t.Hash] = now
	}
	attributes := now.Attributes
	if old {
		attributes = nil
		for _, a := range t.subject.signer.Unsigned {
			h, err := wholeAttribute(t.Hash, a)
			if err != nil {
				return nil, nil, err
			}
			attributes = append(attributes, h)
		}
	}
	for _, list := range []struct {
		what       string
		named, now [][]byte
	}{
		{"certificate", index.Certificates, now.Certificates},
		{"revocation value", index.Revocations, now.Revocations},
		{"time-stamp or other attribute", index.Attributes, attributes},
	} {
		have := map[string]bool{}
		for _, h := range list.now {
			have[string(h)] = true
		}
		for _, h := range list.named {
			if !have[string(h)] {
				return nil, nil, fmt.Errorf("%w: a %s of its index is gone", ErrTimeStamp, list.what)
			}
		}
	}
	return index, der, nil
}
