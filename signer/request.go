package signer

import "time"

// Format is the form in which a signature comes back.
type Format string

// The formats of this service, at the baseline level B-B.
const (
	PAdES         Format = "pades"          // EN 319 142-1, inside the PDF
	CAdESDetached Format = "cades-detached" // EN 319 122-1, the content travels apart
	CAdESAttached Format = "cades-attached" // EN 319 122-1, the content inside
)

// Known reports whether f is one of the formats above.
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
)

// Final reports whether nothing more can happen to the request.
func (s State) Final() bool { return s == Signed || s == Refused || s == Expired }

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
	SHA256    []byte // of the document as it came
	Pages     int    // 0 if it is not a PDF
	Layout    []byte // pades.Layout as JSON, empty for CAdES

	SigningTime time.Time // zero until fixed; whole seconds, UTC
	Digest      []byte    // SHA-256 of what the signature covers; nil until fixed
	FixedFor    []byte    // hash of the ticket for which it was fixed
	CMS         []byte    // detached SignedData, once signed
}

// Bound is what an authorisation says of one document: enough to rebuild the
// signed attributes, and nothing that could be read two ways.
type Bound struct {
	Ordinal     int       `json:"ordinal"`
	Format      Format    `json:"format"`
	Hash        string    `json:"hash"` // always "SHA-256" for now; stated because the authorisation covers it
	Digest      []byte    `json:"digest"`
	SigningTime time.Time `json:"signing_time"`
}

// Bind states a fixed document the way authorisations do.
func Bind(d Document) Bound {
	return Bound{Ordinal: d.Ordinal, Format: d.Format, Hash: "SHA-256", Digest: d.Digest, SigningTime: d.SigningTime.UTC()}
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
