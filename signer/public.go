package signer

import "time"

// NewRequest is a request as a door has parsed and prepared it.
type NewRequest struct {
	Request        Request
	Contents       [][]byte // in the order of Request.Documents
	IdempotencyKey string
	BodyHash       []byte
}

// Fixed is a document whose signing time and digest are settled.
type Fixed struct {
	Ordinal     int
	SigningTime time.Time
	Hash        string // OID
	Digest      []byte
}

// Visitor is who is behind a ticket.
type Visitor struct {
	Purpose   Purpose
	RequestID string
	Verified  bool // an activation whose SMS code was right
	Spent     bool // the ticket has signed, refused or ended
	SpentAt   time.Time
	ExpiresAt time.Time
	Citizen   Citizen
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
}

// Client is an application or an office, as OAuth 2 knows it.
type Client struct {
	Application
	SecretHash      []byte // SHA-256
	Scopes          []string
	ReturnAddresses []string
}

// AccessToken is an access token; only its hash is kept.
type AccessToken struct {
	Hash      []byte
	ClientID  string
	Scopes    []string
	ExpiresAt time.Time
}
