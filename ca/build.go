package ca

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

// newSerial draws a positive serial number: 128 random bits, twice what the
// randomness is asked for and under its 20 octets (RFC 5280, section 4.1.2.2).
// The highest bit is clear, so that it takes 16 octets in DER, and the next
// one set, so that all have the same length.
func newSerial() *big.Int {
	var b [serialBytes]byte
	rand.Read(b[:])
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

// template builds what is signed. All extensions are encoded here, none by
// crypto/x509: order and criticality are the profile's.
func (f *facts) template() (*x509.Certificate, error) {
	name, err := f.encodeSubject()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(), RawSubject: name, NotBefore: f.notBefore, NotAfter: f.notAfter,
	}
	for _, e := range f.kind.Extensions {
		value, err := f.extension(e.OID)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", e.Name, err)
		}
		if value == nil && e.Optional {
			continue
		}
		encoded, err := asn1.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", e.Name, err)
		}
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oid(e.OID), Critical: e.Critical, Value: encoded})
	}
	return template, nil
}

// encodeSubject puts one attribute into a set. pkix.Name cannot: it falls back
// to PrintableString and knows no GN.
func (f *facts) encodeSubject() ([]byte, error) {
	var sequence pkix.RDNSequence
	for _, a := range f.kind.Subject {
		value := f.subject[a.OID]
		if value == "" && a.Optional {
			continue
		}
		sequence = append(sequence, pkix.RelativeDistinguishedNameSET{{
			Type: oid(a.OID), Value: asn1.RawValue{Tag: a.Tag, Bytes: []byte(value)},
		}})
	}
	der, err := asn1.Marshal(sequence)
	if err != nil {
		return nil, fmt.Errorf("encoding a name: %w", err)
	}
	return der, nil
}

// The shapes of RFC 5280, section 4.2.
type (
	basicConstraints struct {
		CA         bool `asn1:"optional"`
		PathLength int  `asn1:"optional,default:-1"`
	}
	authorityKey struct {
		ID []byte `asn1:"tag:0"`
	}
	policyInformation struct {
		Policy asn1.ObjectIdentifier
	}
	accessDescription struct {
		Method   asn1.ObjectIdentifier
		Location asn1.RawValue
	}
	distributionPointName struct {
		FullName []asn1.RawValue `asn1:"tag:0"`
	}
	distributionPoint struct {
		Name distributionPointName `asn1:"tag:0"`
	}
	keyPeriod struct {
		NotBefore time.Time `asn1:"tag:0,generalized"`
		NotAfter  time.Time `asn1:"tag:1,generalized"`
	}
	qcStatement struct { // RFC 3739, section 3.2.6
		ID   asn1.ObjectIdentifier
		Info asn1.RawValue `asn1:"optional"`
	}
	pdsLocation struct { // ETSI EN 319 412-5, section 4.3.4
		URL      string `asn1:"ia5"`
		Language string `asn1:"printable"`
	}
)

// extension is what asn1 encodes; nil if there is nothing to say.
func (f *facts) extension(extension string) (any, error) {
	switch extension {
	case oidBasic:
		return basicConstraints{CA: f.kind.Authority, PathLength: f.kind.PathLength}, nil
	case oidKeyUsage:
		return namedBits(f.kind.KeyUsage), nil
	case oidExtendedUsage:
		return oids(f.kind.Purposes), nil
	case oidSubjectKey:
		return keyIdentifier(f.public)
	case oidAuthorityKey:
		id, err := f.issuerKey()
		return authorityKey{id}, err
	case oidPolicies:
		return f.policyInformation(), nil
	case oidAuthorityInfo:
		return f.authorityInfo(), nil
	case oidCRLPoints:
		return []distributionPoint{{distributionPointName{[]asn1.RawValue{uri(f.crl)}}}}, nil
	case oidKeyPeriod:
		return keyPeriod{NotBefore: f.notBefore, NotAfter: f.keyEnd()}, nil
	case oidOCSPNoCheck:
		return asn1.NullRawValue, nil
	case oidQcStatements:
		if f.qc == nil {
			return nil, nil //nolint:nilnil // an extension that is not there
		}
		return f.qc.encode()
	default:
		return nil, fmt.Errorf("no encoding of extension %s", extension)
	}
}

func (f *facts) issuerKey() ([]byte, error) {
	if f.issuer == nil {
		return keyIdentifier(f.public)
	}
	return f.issuer.SubjectKeyId, nil
}

func (f *facts) policyInformation() []policyInformation {
	if f.kind.Policies == AnyPolicy {
		return []policyInformation{{oid(oidAnyPolicy)}}
	}
	all := []policyInformation{{oid(oidNCPPlus)}}
	for _, own := range f.policies {
		all = append(all, policyInformation{own})
	}
	return all
}

// authorityInfo names no responder for a responder: see ServiceRequest.CRL.
func (f *facts) authorityInfo() []accessDescription {
	var info []accessDescription
	if f.addresses.OCSP != "" && !f.kind.has(oidOCSPNoCheck) {
		info = append(info, accessDescription{oid(oidMethodOCSP), uri(f.addresses.OCSP)})
	}
	return append(info, accessDescription{oid(oidMethodIssuers), uri(f.addresses.Issuer)})
}

func (q *QcStatements) encode() ([]qcStatement, error) {
	statements := []qcStatement{{ID: oid(oidQcCompliance)}}
	if q.SSCD {
		statements = append(statements, qcStatement{ID: oid(oidQcSSCD)})
	}
	kind, err := asn1.Marshal([]asn1.ObjectIdentifier{oid(oidQcTypeESign)})
	if err != nil {
		return nil, fmt.Errorf("encoding a type: %w", err)
	}
	locations := make([]pdsLocation, len(q.Disclosures))
	for i, d := range q.Disclosures {
		locations[i] = pdsLocation(d)
	}
	disclosures, err := asn1.Marshal(locations)
	if err != nil {
		return nil, fmt.Errorf("encoding the disclosure statements: %w", err)
	}
	return append(statements,
		qcStatement{ID: oid(oidQcType), Info: asn1.RawValue{FullBytes: kind}},
		qcStatement{ID: oid(oidQcPDS), Info: asn1.RawValue{FullBytes: disclosures}}), nil
}

// namedBits is KeyUsage as a BIT STRING that ends with its last set bit.
func namedBits(usage x509.KeyUsage) asn1.BitString {
	bits := asn1.BitString{Bytes: make([]byte, 2)}
	for i := range 9 {
		if usage&(1<<i) != 0 {
			bits.Bytes[i/8] |= 0x80 >> (i % 8)
			bits.BitLength = i + 1
		}
	}
	bits.Bytes = bits.Bytes[:(bits.BitLength+7)/8]
	return bits
}

// uri is a GeneralName.
func uri(address string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(address)}
}

// keyIdentifier is method 1 of RFC 7093, section 2: the leftmost 160 bits of
// the SHA-256 of the public key.
func keyIdentifier(public any) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("reading a public key: %w", err)
	}
	sum := sha256.Sum256(info.PublicKey.RightAlign())
	return sum[:keyIdentifierSize], nil
}

// oid reads one of the constants of kinds.go.
func oid(dotted string) asn1.ObjectIdentifier {
	var (
		id  asn1.ObjectIdentifier
		arc int
	)
	for i := range len(dotted) {
		if dotted[i] == '.' {
			id, arc = append(id, arc), 0
			continue
		}
		arc = arc*10 + int(dotted[i]-'0')
	}
	return append(id, arc)
}

func oids(dotted []string) []asn1.ObjectIdentifier {
	ids := make([]asn1.ObjectIdentifier, len(dotted))
	for i, d := range dotted {
		ids[i] = oid(d)
	}
	return ids
}
