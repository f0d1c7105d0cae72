package cades

import (
	"crypto"
	_ "crypto/sha1" // #nosec G505 -- the published hash of a signature policy; it protects nothing here
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Object identifiers by the names that EN 319 122-1, annex D gives them; never
// written to.
var (
	idData           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	idContentHint    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 4}
	idCommitmentType = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 16}
	idSignerLocation = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 17}
	idSigPolicyID    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 15}
	idSPQURI         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 5, 1}
)

// ContentHints is the content-hints attribute (RFC 2634, 2.9; EN 319 122-1,
// 5.2.4.1).
type ContentHints struct {
	// Type is the innermost content's; id-data if there is none.
	Type asn1.ObjectIdentifier
	// Description is for people, or a MIME type after RFC 2045; id-data has
	// to have one.
	Description string
}

func (c *ContentHints) attribute() (cms.Attribute, error) {
	hints := struct {
		Description string `asn1:"utf8,optional"`
		Type        asn1.ObjectIdentifier
	}{c.Description, c.Type}
	if len(hints.Type) == 0 {
		hints.Type = idData
	}
	if !utf8.ValidString(c.Description) || c.Description == "" && hints.Type.Equal(idData) {
		return cms.Attribute{}, errors.New("content-hints without a description")
	}
	return attribute(idContentHint, hints)
}

// Commitment is a commitment type of ETSI TS 119 172-1, annex B.
type Commitment string

// The commitment types that signatures know since RFC 5126, 5.11.1.
const (
	ProofOfOrigin   Commitment = "proof-of-origin"
	ProofOfReceipt  Commitment = "proof-of-receipt"
	ProofOfDelivery Commitment = "proof-of-delivery"
	ProofOfSender   Commitment = "proof-of-sender"
	ProofOfApproval Commitment = "proof-of-approval"
	ProofOfCreation Commitment = "proof-of-creation"
)

// Known says whether c is one of the commitment types.
func (c Commitment) Known() bool { return c.number() > 0 }

// number is the last arc of the type's identifier.
func (c Commitment) number() int {
	return 1 + slices.Index([]Commitment{
		ProofOfOrigin, ProofOfReceipt, ProofOfDelivery, ProofOfSender, ProofOfApproval, ProofOfCreation,
	}, c)
}

func (c Commitment) attribute() (cms.Attribute, error) {
	if !c.Known() {
		return cms.Attribute{}, fmt.Errorf("no commitment type %q", string(c))
	}
	return attribute(idCommitmentType, struct{ ID asn1.ObjectIdentifier }{
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 6, c.number()},
	})
}

// Location is the signer-location attribute (EN 319 122-1, 5.2.5): one of the
// three at least.
type Location struct {
	Country, Locality string
	// PostalAddress has up to six lines.
	PostalAddress []string
}

// maxAddressLines is the bound of PostalAddress.
const maxAddressLines = 6

func (l *Location) attribute() (cms.Attribute, error) {
	if l.Country == "" && l.Locality == "" && len(l.PostalAddress) == 0 || len(l.PostalAddress) > maxAddressLines {
		return cms.Attribute{}, errors.New("signer-location that names no place, or with more than six lines")
	}
	if !utf8.ValidString(l.Country + l.Locality) {
		return cms.Attribute{}, errors.New("signer-location that is not text")
	}
	// The module has EXPLICIT tags. DirectoryString is UTF8String, as in
	// certificates (RFC 5280, 4.1.2.4).
	var address []asn1.RawValue
	for _, line := range l.PostalAddress {
		if line == "" || !utf8.ValidString(line) {
			return cms.Attribute{}, errors.New("signer-location with an empty line or one that is not text")
		}
		address = append(address, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(line)})
	}
	return attribute(idSignerLocation, struct {
		Country  string          `asn1:"utf8,optional,explicit,tag:0"`
		Locality string          `asn1:"utf8,optional,explicit,tag:1"`
		Address  []asn1.RawValue `asn1:"optional,omitempty,explicit,tag:2"`
	}{l.Country, l.Locality, address})
}

// Policy names a signature policy (EN 319 122-1, 5.2.9).
type Policy struct {
	OID asn1.ObjectIdentifier
	// Hash is the digest of the policy's document by HashAlgorithm, which may
	// be SHA-1 where its publisher published no other.
	HashAlgorithm crypto.Hash
	Hash          []byte
	// URI is where the document can be had; empty to say nothing.
	URI string
}

// AGE19 is version 1.9 of the signature policy of Spain's Administración General
// del Estado (Resolución de 29 de noviembre de 2012, BOE of 13 December 2012).
// Its publisher identifies the document by this SHA-1 and no other hash, so
// validators of the administration look for this one: the value is that of the
// Ministry's own signing client (ctt-gob-es/clienteafirma, policy.properties).
// That SHA-1 has collisions is of no use to a forger here: the document was
// written by who published the hash.
func AGE19() *Policy {
	return &Policy{
		OID:           asn1.ObjectIdentifier{2, 16, 724, 1, 3, 1, 1, 2, 1, 9},
		HashAlgorithm: crypto.SHA1,
		Hash: []byte{
			0x1b, 0xba, 0xe8, 0xb9, 0xc7, 0xfa, 0xd3, 0x4f, 0x9f, 0xd3,
			0x7a, 0xff, 0xa3, 0x46, 0xc0, 0x39, 0x0e, 0x96, 0x02, 0xcd,
		},
		URI: "https://sede.administracion.gob.es/politica_de_firma_anexo_1.pdf",
	}
}

type policyQualifier struct {
	ID  asn1.ObjectIdentifier
	URI string `asn1:"ia5"`
}

func (p *Policy) attribute() (cms.Attribute, error) {
	algorithm, err := policyHash(p.HashAlgorithm)
	if err != nil || len(p.Hash) != p.HashAlgorithm.Size() {
		return cms.Attribute{}, fmt.Errorf("policy %v with a hash of %d octets by %v", p.OID, len(p.Hash), p.HashAlgorithm)
	}
	type otherHash struct {
		Algorithm pkix.AlgorithmIdentifier
		Value     []byte
	}
	id := struct {
		ID         asn1.ObjectIdentifier
		Hash       otherHash
		Qualifiers []policyQualifier `asn1:"optional,omitempty"`
	}{ID: p.OID, Hash: otherHash{pkix.AlgorithmIdentifier{Algorithm: algorithm}, p.Hash}}
	if p.URI != "" {
		id.Qualifiers = []policyQualifier{{idSPQURI, p.URI}}
	}
	return attribute(idSigPolicyID, id)
}

func policyHash(hash crypto.Hash) (asn1.ObjectIdentifier, error) {
	if hash == crypto.SHA1 {
		return cms.DigestID(hash)
	}
	return hashIdentifier(hash)
}

func attribute(oid asn1.ObjectIdentifier, value any) (cms.Attribute, error) {
	der, err := asn1.Marshal(value)
	if err != nil {
		return cms.Attribute{}, fmt.Errorf("encoding attribute %v: %w", oid, err)
	}
	return cms.Attribute{Type: oid, Value: der}, nil
}
