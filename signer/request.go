package signer

import (
	"crypto"
	"strconv"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// Format is the form in which a signature comes back.
type Format string

// The formats of this service, at the baseline levels of EN 319 142-1 and
// EN 319 122-1.
const (
	PAdES         Format = "pades"          // EN 319 142-1, inside the PDF
	CAdESDetached Format = "cades-detached" // EN 319 122-1, the content travels apart
	CAdESAttached Format = "cades-attached" // EN 319 122-1, the content inside
	// Hash is no form at all: only a hash is known, the key signs that very hash,
	// and nothing is built around it unless the one who spends the consent asks
	// for it (HashOrder).
	Hash Format = "hash"
)

// Known reports whether f is one of the formats in which documents are signed.
func (f Format) Known() bool {
	return f == PAdES || f == CAdESDetached || f == CAdESAttached
}

// State is where a signature request stands; docs/ceremony.md draws the arrows.
type State string

// The states of a request.
const (
	Received State = "received" // stored by a door, not yet in the log: invisible to citizens
	Pending  State = "pending"  // the citizen may sign it
	Signing  State = "signing"  // an intent is in the log, the outcome is not
	Signed   State = "signed"
	Refused  State = "refused" // by the citizen
	Expired  State = "expired"
	// Withdrawn is what becomes of a request that waits when its envelope ends.
	Withdrawn State = "withdrawn"
)

// Final reports whether nothing more can happen to the request.
func (s State) Final() bool { return s == Signed || s == Refused || s == Expired || s == Withdrawn }

// Request is what a back end asks: documents, one citizen, one application.
type Request struct {
	ID          string
	Application Application
	Identifier  string // DNI or NIE of the one who is to sign
	Title       string
	Locale      string
	ReturnURL   string
	State       State
	CreatedAt   time.Time
	ExpiresAt   time.Time
	ClosedAt    time.Time // zero while not final
	Documents   []Document
	Interrupted int // how many intents ended without an outcome
	// Particulars are what the application tells the citizen beside the title.
	Particulars []Particular
	// Rejected are the documents that were sent and could not be taken in. The
	// ordinals of the others count without them.
	Rejected []Rejected
	// Envelope is the id of the one that the request is part of, empty if it stands
	// alone.
	Envelope string
}

// Particular is a fact that an application tells: "Expediente", "2026/1234".
type Particular struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// Rejected is a document that could not be taken in.
type Rejected struct {
	Position int               `json:"position"` // from 1, as it was sent
	Name     string            `json:"name"`
	Code     policies.Code     `json:"code"`
	Params   map[string]string `json:"params,omitempty"`
}

// Application is a back end of an organisation, as citizens see it named.
type Application struct {
	ID           string
	Name         string
	Organisation string
}

// Document is one thing to sign. Its digest is fixed when the citizen, already
// identified and with a certificate, opens the page that shows it, and not
// before: the claimed signing time must not precede the certificate.
type Document struct {
	Ordinal   int // from 1, the order in which the citizen sees them
	Name      string
	MediaType string
	Format    Format
	Size      int64  // bytes, as it came
	SHA256    []byte // of the document as it came; of a hash that was given, that hash's own
	Pages     int    // 0 if it is not a PDF
	Options   []byte // requests.Options as JSON: how the signature is to look
	Layout    []byte // pades.Layout as JSON, empty for CAdES
	// Given is the hash that came in the place of the document, nil if the document
	// itself did. It is of algorithm Hash then, and nothing else is ever fixed.
	Given []byte
	// Built is what was built around Given and waits to be fetched, empty if nothing
	// does. What it was made of is there as far as its level needs it.
	Built Format
	// Findings are what an inspection found in it and let pass, codes of
	// policies.DocumentRules.
	Findings   []string
	Attributes Attributes
	// Level is the baseline level that was asked for, Reached the one that the
	// signature has, empty until there is one. Lacking is the refusal's code for
	// which it is not higher yet.
	Level   cades.Level
	Reached cades.Level
	Lacking policies.Code
	// Revision is how many signatures of the request's envelope stand in a PDF
	// before this one.
	Revision int

	SigningTime time.Time // zero until fixed; whole seconds, UTC
	Hash        string    // OID of the digest's algorithm, as the public side says; empty until fixed or given
	Digest      []byte    // of what the signature covers; nil until fixed
	FixedFor    []byte    // hash of the ticket for which it was fixed
	CMS         []byte    // detached SignedData, once signed; of format Hash the value itself, unless something was built around it
}

// Bound is what an authorisation says of one document: enough to rebuild the
// signed attributes, and nothing that could be read two ways.
type Bound struct {
	Ordinal     int        `json:"ordinal"`
	Format      Format     `json:"format"`
	Hash        string     `json:"hash"` // OID
	Digest      []byte     `json:"digest"`
	SigningTime time.Time  `json:"signing_time"`
	Attributes  Attributes `json:"attributes"`
}

// Attributes are the optional signed attributes that a back end may ask for
// (EN 319 122-1 V1.3.1, 5.2); all of them may be empty.
type Attributes struct {
	MimeType   string `json:"mime_type,omitempty"`  // of a CAdES content
	Commitment string `json:"commitment,omitempty"` // a cades.Commitment
	Country    string `json:"country,omitempty"`    // where the signer claims to be
	Locality   string `json:"locality,omitempty"`
	Policy     string `json:"policy,omitempty"` // PolicyAGE19
}

// PolicyAGE19 is version 1.9 of the signature policy of the Administración
// General del Estado, the only one that may be asked for.
const PolicyAGE19 = "age-1.9"

// params are what of a document goes into its signed attributes. That a format
// has no such attribute is cades' to say, before a key is used.
func (d Bound) params() (cades.Params, error) {
	p := cades.Params{
		ContentDigest: d.Digest, SigningTime: d.SigningTime, PAdES: d.Format == PAdES,
		MimeType: d.Attributes.MimeType, Commitment: cades.Commitment(d.Attributes.Commitment),
	}
	if d.Attributes.Country != "" || d.Attributes.Locality != "" {
		p.Location = &cades.Location{Country: d.Attributes.Country, Locality: d.Attributes.Locality}
	}
	switch d.Attributes.Policy {
	case "":
	case PolicyAGE19:
		p.Policy = cades.AGE19()
	default:
		return p, policies.Refuse(policies.RequestMalformed, "field", "policy")
	}
	return p, nil
}

// Bind states a fixed document the way authorisations do.
func Bind(d Document) Bound {
	return Bound{Ordinal: d.Ordinal, Format: d.Format, Hash: d.Hash, Digest: d.Digest, SigningTime: d.SigningTime.UTC(), Attributes: d.Attributes}
}

// boundFields are documents as seals and authorisations cover them: how many,
// in which order, and every field of each.
func boundFields(documents []Bound) []string {
	fields := []string{strconv.Itoa(len(documents))}
	for _, d := range documents {
		fields = append(fields, strconv.Itoa(d.Ordinal), string(d.Format), d.Hash, hexOf(d.Digest), instant(d.SigningTime),
			d.Attributes.MimeType, d.Attributes.Commitment, d.Attributes.Country, d.Attributes.Locality, d.Attributes.Policy)
	}
	return fields
}

// The hash algorithms that may be signed (NIST's OIDs, RFC 8017, appendix B.1).
const (
	SHA256 = "2.16.840.1.101.3.4.2.1"
	SHA384 = "2.16.840.1.101.3.4.2.2"
	SHA512 = "2.16.840.1.101.3.4.2.3"
)

// ParseDigest ties an algorithm to the length of its values, since a length
// alone says nothing: SHA3-256 and SHA-512/256 have 32 bytes as well. Anything
// else is policies.DigestRefused.
func ParseDigest(oid string, digest []byte) (crypto.Hash, error) {
	var hash crypto.Hash
	switch oid {
	case SHA256:
		hash = crypto.SHA256
	case SHA384:
		hash = crypto.SHA384
	case SHA512:
		hash = crypto.SHA512
	default:
		return 0, policies.Refuse(policies.DigestRefused, "algorithm", oid)
	}
	if len(digest) != hash.Size() {
		return 0, policies.Refuse(policies.DigestRefused, "algorithm", oid, "bytes", strconv.Itoa(len(digest)))
	}
	return hash, nil
}

// Reference is the one that page, SMS and log show for the request's documents
// once they are fixed.
func (r Request) Reference() string {
	bound := make([]Bound, len(r.Documents))
	for i, d := range r.Documents {
		bound[i] = Bind(d)
	}
	return Reference(bound)
}
