package signer

import (
	"context"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
)

// Citizen is what the ceremony knows of a person.
type Citizen struct {
	ID            string
	Identifier    string // DNI or NIE
	GivenName     string
	Surnames      string
	Phone         string // E.164
	Email         string
	Locale        string
	Status        CitizenStatus
	DocumentUntil time.Time // validity of the DNI or NIE
	Registration  Registration
}

// CitizenStatus is where a citizen stands.
type CitizenStatus string

// The states of a citizen.
const (
	Registered   CitizenStatus = "registered" // no password yet
	Active       CitizenStatus = "active"
	Blocked      CitizenStatus = "blocked"
	Deregistered CitizenStatus = "deregistered"
)

// Registration is the act that proved the identity. Mode and Level are words
// of package policies.
type Registration struct {
	Mode      string
	Level     string
	Office    string
	Officer   string // client id of the officer's application
	AssuredAt time.Time
}

// CredentialState is where a credential stands.
type CredentialState string

// The states of a credential.
const (
	Empty     CredentialState = "empty" // a password, no key yet
	Usable    CredentialState = "usable"
	Destroyed CredentialState = "destroyed"
)

// Credential is a key pair and its certificate, of one citizen.
type Credential struct {
	ID          string
	CitizenID   string
	Generation  int64 // grows whenever the box is sealed anew
	State       CredentialState
	Algorithm   string // as package hsm spells it; empty while Empty
	PublicKey   []byte // SubjectPublicKeyInfo, DER
	Sealed      Sealed
	Certificate *Certificate // the newest, nil if none was issued
}

// Certificate is an issued certificate.
type Certificate struct {
	Serial    string // lower-case hexadecimal
	DER       []byte
	NotBefore time.Time
	NotAfter  time.Time
	RevokedAt time.Time // zero if it is not revoked
}

// Certified reports whether the credential can sign at the given time.
func (c Credential) Certified(now time.Time) bool {
	crt := c.Certificate
	return c.State == Usable && crt != nil && crt.RevokedAt.IsZero() && !now.Before(crt.NotBefore) && !now.After(crt.NotAfter)
}

// TicketRow is the database's half of a ticket.
type TicketRow struct {
	Hash         []byte
	Purpose      Purpose // ForActivation, or ForSignature for tickets of a request
	RequestID    string  // empty for an activation
	CitizenID    string
	CredentialID string // empty for an activation
	Generation   int64
	SealedKey    []byte // the sealing key under the ticket; empty for an activation
	Verified     bool   // the activation's code was right
	ExpiresAt    time.Time
}

// ChallengeState is where a one-time code stands.
type ChallengeState string

// The states of a code.
const (
	CodePrepared   ChallengeState = "prepared" // stored, not yet handed to the operator
	CodeSent       ChallengeState = "sent"
	CodeFailed     ChallengeState = "failed" // could not be sent
	CodeConsumed   ChallengeState = "consumed"
	CodeSuperseded ChallengeState = "superseded"
	CodeExhausted  ChallengeState = "exhausted"
)

// ChallengeRow is a stored one-time code.
type ChallengeRow struct {
	ID         string
	TicketHash []byte
	Purpose    Purpose
	RequestID  string
	CitizenID  string
	Identifier string // of the citizen, read beside the row
	Phone      string
	MAC        []byte
	Reference  string
	Documents  []Bound // what the code authorises, ForSignature
	Attempts   int
	State      ChallengeState
	CreatedAt  time.Time
	ExpiresAt  time.Time
}

// Intent is an authorisation about to be spent: the last thing recorded before
// a key is used.
type Intent struct {
	ID           string
	Request      Request
	ChallengeID  string
	TicketHash   []byte
	CitizenID    string
	CredentialID string
	Generation   int64
	Serial       string
	Documents    []Bound
	DTBSR        [][]byte // hash of each document's signed attributes, in order
	CreatedAt    time.Time
	LeaseUntil   time.Time
}

// Notice asks for a mail to a citizen; it is enqueued with the state change
// that it tells of, and holds no secret.
type Notice struct {
	Kind      string // activated, certificate_issued, document_signed, certificate_revoked
	CitizenID string
	RequestID string
}

// TicketReader reads who stands behind a ticket.
type TicketReader interface {
	// Ticket reads a ticket that has not ended (policies.SessionExpired).
	Ticket(ctx context.Context, hash []byte, now time.Time) (TicketRow, error)
	// CitizenByID reads a citizen and the newest credential that is not
	// destroyed, nil if there is none.
	CitizenByID(ctx context.Context, id string) (Citizen, *Credential, error)
}

// Store is what the ceremony keeps. Each method is one transaction: when it
// returns nil its effects, log entries included, are durable; a compare that
// fails returns the *policies.Refusal that says so and changes nothing. Only
// the signer process may call it.
type Store interface {
	TicketReader

	// Log appends entries that accompany no other change.
	Log(ctx context.Context, entries ...audit.Entry) error

	// OpenRequest moves received → pending. It reports whether it did.
	OpenRequest(ctx context.Context, id string, e audit.Entry) (bool, error)
	// Request reads a request with its documents (policies.RequestUnknown).
	Request(ctx context.Context, id string) (Request, error)
	// RefuseRequest moves pending → refused and ends the ticket.
	RefuseRequest(ctx context.Context, ticketHash []byte, e audit.Entry) error

	// CountPasswordAttempt adds one to the failures of an identifier, known or
	// not, and returns the count so far. It is durable before any comparison.
	CountPasswordAttempt(ctx context.Context, identifier string, now time.Time) (int, error)
	// CitizenByIdentifier returns policies.CitizenUnknown for a stranger; the
	// credential is the newest that is not destroyed, nil if there is none.
	CitizenByIdentifier(ctx context.Context, identifier string) (Citizen, *Credential, error)

	// OpenSession clears the failures, ends the request's older tickets and
	// codes, and stores this ticket.
	OpenSession(ctx context.Context, t TicketRow, e audit.Entry) error

	// PrepareChallenge stores a code after checking the pace (CodeTooSoon,
	// CodeTooMany); the citizen's older codes for the same ticket are superseded.
	PrepareChallenge(ctx context.Context, c ChallengeRow, pace Pace, entries ...audit.Entry) error
	// ChallengeSent moves prepared → sent or failed.
	ChallengeSent(ctx context.Context, id string, to ChallengeState, e audit.Entry) error
	// TryChallenge counts an attempt on the ticket's newest code and returns
	// it as counted. Expired, used and exhausted codes are refusals, and are
	// returned with them as they stand.
	TryChallenge(ctx context.Context, try Try) (ChallengeRow, error)
	// WrongCode records a failed attempt; at the last one the code is exhausted.
	WrongCode(ctx context.Context, c ChallengeRow, tries int, entries ...audit.Entry) error

	// BeginIssuance consumes code and ticket (CodeUsed).
	BeginIssuance(ctx context.Context, i Issuance, e audit.Entry) error
	// IntendCertificate records that the issuing key is about to be used.
	IntendCertificate(ctx context.Context, i Issuance, e audit.Entry) error
	// FinishIssuance stores key and certificate if the credential is still at
	// the generation it was read at, and the ticket that goes on.
	FinishIssuance(ctx context.Context, i Issuance, next TicketRow, entries ...audit.Entry) error

	// BeginSignature consumes code and ticket, moves pending → signing and
	// stores the intent, all if nothing has changed meanwhile.
	BeginSignature(ctx context.Context, i Intent, e audit.Entry) error
	// FinishSignature spends the authorisation and stores one CMS a document.
	FinishSignature(ctx context.Context, i Intent, cms [][]byte, n Notice, e audit.Entry) error
	// FailSignature ends an intent without a signature; the request is pending again.
	FailSignature(ctx context.Context, i Intent, e audit.Entry) error

	// Overdue lists intents and certificate intents past their lease, and open
	// requests past their expiry.
	Overdue(ctx context.Context, now time.Time) (Overdue, error)
	// InterruptSignature ends an overdue intent: sign.interrupted, pending again.
	InterruptSignature(ctx context.Context, intentID string, e audit.Entry) error
	// InterruptCertificate ends an overdue certificate intent.
	InterruptCertificate(ctx context.Context, serial string, e audit.Entry) error
	// ExpireRequest moves received or pending → expired.
	ExpireRequest(ctx context.Context, id string, e audit.Entry) error
	// Forget deletes expired tickets, and with them the keys they guard, codes
	// that authorised nothing, and old failures of identifiers nobody has.
	Forget(ctx context.Context, now time.Time) error
}

// Pace bounds how often codes are sent.
type Pace struct {
	Interval time.Duration // between two codes
	PerHour  int
}

// Try is an attempt on a code.
type Try struct {
	TicketHash []byte
	Purpose    Purpose
	Limit      int
	Now        time.Time
}

// Issuance is a credential on its way to a certificate.
type Issuance struct {
	ID          string
	ChallengeID string
	TicketHash  []byte
	RequestID   string
	Credential  Credential // as it will be, generation included
	Was         int64      // the generation it was read at
	LeaseUntil  time.Time
	Now         time.Time
	Notice      Notice
}

// Overdue is what a crash or time has left behind.
type Overdue struct {
	Intents      []OverdueItem
	Certificates []OverdueItem
	Requests     []OverdueItem
}

// OverdueItem names one of them.
type OverdueItem struct {
	ID         string
	RequestID  string
	Identifier string // of the citizen
}
