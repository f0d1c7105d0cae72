package signer

import (
	"bytes"
	"io"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// NewRequest is a request as a door has parsed and prepared it.
type NewRequest struct {
	Request Request
	// Contents are in the order of Request.Documents.
	Contents       []NewContent
	IdempotencyKey string
	BodyHash       []byte
}

// NewContent is a document's content as it came, and what a prepared signature
// appends to it.
type NewContent struct {
	// Upload names a content that the application sent before; otherwise Open
	// reads it, each time from its beginning.
	Upload string
	Open   func() (io.Reader, error)
	Update []byte // empty for CAdES
}

// HeldContent is a content that is in memory.
func HeldContent(content []byte) NewContent {
	return NewContent{Open: func() (io.Reader, error) { return bytes.NewReader(content), nil }}
}

// Upload is a content that an application has sent and not yet used.
type Upload struct {
	ID            string
	ApplicationID string
	Size          int64
	SHA256        []byte
	CreatedAt     time.Time
}

// Fixed is a document whose signing time and digest are settled.
type Fixed struct {
	Ordinal     int
	SigningTime time.Time
	Hash        string // OID
	Digest      []byte
	// Layout and Update replace those that were prepared when the request came,
	// unless they are empty.
	Layout []byte
	Update []byte
	// Revision is how many signatures of the envelope stand in the document before
	// this one, Prefix what they have appended to it as it came.
	Revision int
	Prefix   []byte
}

// Augmented is what brings a signature to a higher level: its CMS with what its
// unsigned attributes gained, and what was appended to its PDF. Both are whole,
// not what was added last.
type Augmented struct {
	Ordinal int
	Reached cades.Level
	Lacking policies.Code // why it is not higher; empty where nothing lacks
	CMS     []byte
	Tail    []byte
}

// Visitor is who is behind a ticket.
type Visitor struct {
	Purpose   Purpose
	Via       Via // of an access ticket
	RequestID string
	Verified  bool // an activation whose SMS code was right
	Spent     bool // the ticket has signed, refused or ended
	SpentAt   time.Time
	ExpiresAt time.Time
	Citizen   Citizen
	// CredentialID is the credential that the session opened, there still or not.
	CredentialID string
	// Certified is whether the citizen can sign now.
	Certified  bool
	Credential *Credential // without its box
	// Replaces says that the certificate that is there has to give way to a new
	// one first, because keys are kept in another way now.
	Replaces bool
}

// SentCode is a sent code as the page may know it.
type SentCode struct {
	State     ChallengeState
	Reference string
	Attempts  int
	SentAt    time.Time
	ExpiresAt time.Time
	Delivery  DeliveryState // empty while no operator has accepted it
}

// Client is an application or an office, as OAuth 2 knows it.
type Client struct {
	Application
	SecretHash []byte // SHA-256
	// FormerSecretHash is that of the secret before, good until FormerSecretUntil.
	FormerSecretHash  []byte
	FormerSecretUntil time.Time
	Certificate       []byte // SHA-256 of the TLS certificate by which it may show itself, nil if none
	Scopes            []string
	ReturnAddresses   []string
	Contact           string
	// Switches are what is relaxed or opened for it.
	Switches []string
	// Doors, Formats and Levels are what it may use; empty: all.
	Doors   []string
	Formats []Format
	Levels  []cades.Level
	Calls   int // a second, 0: what the deployment grants
	// Keys and Certificates are by what it shows who it is, beside its secret.
	Keys         []ClientKey
	Certificates []ClientCertificate
}

// AccessToken is an access token; only its hash is kept.
type AccessToken struct {
	Hash      []byte
	ClientID  string
	Scopes    []string
	ExpiresAt time.Time
	// Certificate is the SHA-256 of the TLS certificate that it is bound to, nil
	// if anybody may bear it (RFC 8705, section 3.1).
	Certificate []byte
	// KeyThumbprint is that of the key that it is bound to, empty if to none (RFC
	// 9449, section 6).
	KeyThumbprint string
	GrantID       string
	SAD           []byte // encrypted under the token, nil if it carries none
}
