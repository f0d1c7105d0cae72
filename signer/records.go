package signer

import (
	"cmp"
	"context"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/policies"
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
	// PhoneChangedAt is when another mobile took the place of the one that the
	// citizen had registered with, zero if none has.
	PhoneChangedAt time.Time
	Associated     []byte // SHA-256 of the certificate that the citizen logs in with, nil if none
	Notices        Notices

	// Version grows with each change of what Seal covers.
	Version int64
	Seal    Seal
	// Newest is what the log says of the version that counts.
	Newest Newest
}

// Seal is an HMAC by the token over a record.
type Seal struct {
	Epoch int // of the sealing key; 0: never sealed
	MAC   []byte
}

// Newest is the state of a citizen's record that counts, as the log has it.
type Newest struct {
	Version int64
	MAC     []byte
}

// CitizenStatus is where a citizen stands.
type CitizenStatus string

// The states of a citizen.
const (
	Registered   CitizenStatus = "registered" // no password yet
	Active       CitizenStatus = "active"
	Blocked      CitizenStatus = "blocked"
	Deregistered CitizenStatus = "deregistered"
	Deceased     CitizenStatus = "deceased" // for good, unless an office has erred
)

// Gone reports whether somebody is not registered any more: nothing of what
// they had is left.
func (s CitizenStatus) Gone() bool { return s == Deregistered || s == Deceased }

// Notices is how a citizen is told of each signature.
type Notices string

// The ways to be told. NoticesMail is what nobody has to choose.
const (
	NoticesMail Notices = "mail"
	NoticesSMS  Notices = "sms"
	NoticesBoth Notices = "both"
	NoticesNone Notices = "none"
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

	Keeper     KeeperName
	KEK        int       // epoch of the key-encryption key, keeper sealed
	KeyLabel   string    // of the token object, keeper token
	PasswordAt time.Time // when the password was chosen
}

// Certificate is an issued certificate.
type Certificate struct {
	Serial    string // lower-case hexadecimal
	DER       []byte
	NotBefore time.Time
	NotAfter  time.Time
	RevokedAt time.Time // zero if it is not revoked
	Reason    int       // CRLReason of the revocation (RFC 5280, section 5.3.1)
}

// Suspended reports whether the revocation is one that can be lifted.
func (c Certificate) Suspended() bool {
	return !c.RevokedAt.IsZero() && c.Reason == int(ca.CertificateHold)
}

// Certified reports whether the credential can sign at the given time.
func (c Credential) Certified(now time.Time) bool {
	crt := c.Certificate
	return c.State == Usable && crt != nil && crt.RevokedAt.IsZero() && !now.Before(crt.NotBefore) && !now.After(crt.NotAfter)
}

// TicketRow is the database's half of a ticket.
type TicketRow struct {
	Hash         []byte
	Purpose      Purpose // ForActivation, ForAffairs, ForAccess, or ForSignature for tickets of a request
	Via          Via     // of an access ticket
	RequestID    string  // empty but for a signature
	CitizenID    string
	CredentialID string // empty for an activation
	Generation   int64
	SealedKey    []byte // the sealing key under the ticket; empty where no password was typed
	Verified     bool   // the activation's code was right
	Source       string // network that the person came from
	// Replaces says that the key has to be replaced before it signs again,
	// because it is kept in a way that the deployment has left.
	Replaces bool
	// IdentifiedAt is when the password or activation code was right that the
	// ticket, or the one before it, was made for.
	IdentifiedAt time.Time
	Seal         Seal // of an activation's and an access ticket; the others authenticate themselves by the key they guard
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
	ID          string
	TicketHash  []byte
	Purpose     Purpose
	RequestID   string
	Application string // of the request, or that has asked for the affair
	CitizenID   string
	Identifier  string // of the citizen, read beside the row
	Phone       string
	Pepper      int // epoch of the key of MAC
	MAC         []byte
	Reference   string
	Documents   []Bound // what the code authorises, ForSignature
	Explicit    bool    // it stands for no documents: SCAL1, known by who asks
	Attempts    int
	State       ChallengeState
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// AuthorisationState is where an authorisation stands.
type AuthorisationState string

// The states of an authorisation. Only Waiting can be spent, and only once.
const (
	Waiting AuthorisationState = "authorised"
	Begun   AuthorisationState = "intent" // in the log; the outcome is not
)

// Authorisation is a citizen's consent (SAD, EN 419 241-1): this signer, with
// this key and certificate, over exactly these hashes in this order, asked by
// this application, until then, once.
type Authorisation struct {
	ID            string
	RequestID     string
	ApplicationID string
	ChallengeID   string
	CitizenID     string
	CredentialID  string
	Generation    int64
	Serial        string
	Certificate   []byte // SHA-256 of the DER
	Algorithm     string // of the key, as package hsm spells it
	Documents     []Bound
	CreatedAt     time.Time
	ExpiresAt     time.Time
	State         AuthorisationState

	// SADHash identifies the row; SealedKey is the sealing key under the SAD
	// with all of the above as associated data.
	SADHash   []byte
	SealedKey []byte
}

// Consent is what an authorisation is created from and uses up.
type Consent struct {
	Authorisation Authorisation
	TicketHash    []byte
	Version       int64  // of the citizen's record, as it was read
	Envelope      string // of the request
}

// Intent is an authorisation about to be spent: the last thing recorded before
// a key is used.
type Intent struct {
	Authorisation
	Request    Request
	Version    int64    // of the citizen's record, as it was read
	DTBSR      [][]byte // hash of each document's signed attributes, in order
	LeaseUntil time.Time
}

// Notice asks for a mail to a citizen; it is enqueued with the state change
// that it tells of, and holds no secret.
type Notice struct {
	// Kind is activated, password_changed, document_signed, certificate_issued,
	// certificate_renewed, certificate_suspended, certificate_released,
	// certificate_revoked, citizen_blocked, citizen_deregistered, or one of
	// policies.ReminderKind.
	Kind      string
	CitizenID string
	RequestID string
	// Wanted is how the citizen wants to be told of signatures, of which only
	// document_signed tells.
	Wanted Notices
	// Former is the address or number that another has taken the place of: it is
	// told too.
	Former string
	Days   int       // of a reminder: how long until then
	Ends   time.Time // of a reminder: what ends then
}

// Change is the next state of a citizen's record, sealed.
type Change struct {
	CitizenID string
	Was       int64 // the version that it replaces, 0 for a new citizen
	Seal      Seal
	Entry     audit.Entry // citizen.sealed, which names the version
}

// TicketReader reads who stands behind a ticket.
type TicketReader interface {
	// Ticket reads a ticket that has not ended (policies.SessionExpired).
	Ticket(ctx context.Context, hash []byte, now time.Time) (TicketRow, error)
}

// CitizenReader reads citizens' records as they are stored. Whoever decides by
// one reads it through People, which checks its seal.
type CitizenReader interface {
	// CitizenByID reads a citizen and the credential that is not destroyed,
	// nil if there is none.
	CitizenByID(ctx context.Context, id string) (Citizen, *Credential, error)
	// CitizenByIdentifier is the same, and returns policies.CitizenUnknown for
	// a stranger at the same cost.
	CitizenByIdentifier(ctx context.Context, identifier string) (Citizen, *Credential, error)
}

// Logger appends entries that accompany no other change.
type Logger interface {
	Log(ctx context.Context, entries ...audit.Entry) error
	// Appendable reports why no entry can be added now, nil if one can.
	Appendable(ctx context.Context) error
}

// Store is what the ceremony keeps. Each method is one transaction: when it
// returns nil its effects, log entries included, are durable; a compare that
// fails returns the *policies.Refusal that says so and changes nothing. Only
// the signer process may call it.
type Store interface {
	TicketReader
	CitizenReader
	Logger

	// OpenRequest moves received → pending. It reports whether it did.
	OpenRequest(ctx context.Context, id string, e audit.Entry) (bool, error)
	// Request reads a request with its documents (policies.RequestUnknown).
	Request(ctx context.Context, id string) (Request, error)
	// RefuseRequest moves pending → refused and ends the ticket.
	RefuseRequest(ctx context.Context, ticketHash []byte, e audit.Entry) error

	// CountPasswordAttempt counts a guess at an identifier's password, known or
	// not, unless guesses are paused. It is durable before any comparison.
	CountPasswordAttempt(ctx context.Context, g Guess) (Tally, error)

	// PasswordProved clears the failures and makes the source familiar, with the
	// entry that says why there is no session all the same.
	PasswordProved(ctx context.Context, t TicketRow, e audit.Entry) error
	// OpenSession clears the failures, makes the ticket's source familiar, ends
	// the request's older tickets and codes, and stores this ticket.
	OpenSession(ctx context.Context, t TicketRow, e audit.Entry) error
	// OpenAccess stores an access ticket in the place of the older one, of
	// somebody who has not typed the password.
	OpenAccess(ctx context.Context, t TicketRow, e audit.Entry) error
	// Reseal stores a box that was sealed anew, with nothing else changed.
	Reseal(ctx context.Context, k Credential, c Change, entries ...audit.Entry) error

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

	// BeginIssuance consumes code and ticket (CodeUsed), and notes the token
	// object that is going to be made, if any.
	BeginIssuance(ctx context.Context, i Issuance, e audit.Entry) error
	// IntendCertificate records that the issuing key is about to be used.
	IntendCertificate(ctx context.Context, i Issuance, e audit.Entry) error
	// FinishIssuance stores key and certificate if the record is still at the
	// version it was read at, and the ticket that goes on. A key that gives way
	// is doomed, its authorisations void.
	FinishIssuance(ctx context.Context, i Issuance, next TicketRow, entries ...audit.Entry) error

	// Authorise consumes code and ticket and stores the authorisation, if the
	// record is still at the version it was read at. Within an envelope, it refuses
	// what another signature has come into (DocumentChanged), or is coming (Busy).
	Authorise(ctx context.Context, c Consent, e audit.Entry) error
	// Authorisation reads one that waits to be spent (AuthorisationInvalid).
	Authorisation(ctx context.Context, sadHash []byte) (Authorisation, error)
	// BeginSignature spends the authorisation and moves pending → signing, all
	// if nothing has changed meanwhile. Of an envelope's requests over PDFs one is
	// signing at a time (Busy).
	BeginSignature(ctx context.Context, i Intent, e audit.Entry) error
	// FinishSignature ends the intent and stores one CMS a document.
	FinishSignature(ctx context.Context, i Intent, cms [][]byte, n Notice, e audit.Entry) error
	// FailSignature ends an intent without a signature; the request is pending again.
	FailSignature(ctx context.Context, i Intent, e audit.Entry) error

	// Application reads a client, and whether it is enabled (ApplicationUnknown).
	Application(ctx context.Context, id string) (c Client, enabled bool, err error)
	// GiveConsent stores a consent that is over no signature, and spends the ticket.
	GiveConsent(ctx context.Context, c ServiceConsent, ticketHash []byte, e audit.Entry) error
	// WithdrawConsents ends all of a citizen's for an application, and what was
	// granted because of them (NotFound: there are none).
	WithdrawConsents(ctx context.Context, citizenID, applicationID string, e audit.Entry) error

	// Overdue lists intents and certificate intents past their lease, open
	// requests past their expiry, and token objects that must go.
	Overdue(ctx context.Context, now time.Time) (Overdue, error)
	// InterruptSignature ends an overdue intent: sign.interrupted, pending again.
	InterruptSignature(ctx context.Context, intentID string, e audit.Entry) error
	// InterruptCertificate ends an overdue certificate intent.
	InterruptCertificate(ctx context.Context, serial string, e audit.Entry) error
	// ExpireRequest moves received or pending → expired.
	ExpireRequest(ctx context.Context, id string, e audit.Entry) error
	// Envelope reads one with what has become of its signers' requests, and
	// WithdrawRequest moves received or pending → withdrawn, if the request's has
	// ended (RequestState).
	Envelope(ctx context.Context, id string) (Envelope, error)
	WithdrawRequest(ctx context.Context, id string, e audit.Entry) error
	// ForgetTokenKey forgets a token object that is gone.
	ForgetTokenKey(ctx context.Context, label string, e audit.Entry) error
	// Forget deletes expired tickets, and with them the keys they guard, voids
	// expired authorisations, and deletes codes that authorised nothing, old
	// failures and old familiar networks.
	Forget(ctx context.Context, now time.Time) error

	// Remindable lists citizens for whom a reminder may be due, up to limit.
	Remindable(ctx context.Context, now time.Time, rules policies.Rules, limit int) ([]string, error)
	// Remind enqueues mail and SMS of a reminder, unless that was done before.
	Remind(ctx context.Context, r Reminding, e audit.Entry) error

	// Epochs reads which keys of the token new work is done with.
	Epochs(ctx context.Context) (Epochs, error)
}

// Guess is an attempt on a password.
type Guess struct {
	Identifier string
	Source     string // network, empty if unknown
	Limits     PasswordLimits
	Now        time.Time
}

// Tally is what attempts on a password have come to.
type Tally struct {
	Familiar bool      // the person has come from this network before
	Failures int       // this one included; of this network, or of all strange ones
	Locked   bool      // not even the right password opens, and only it may learn that
	RetryAt  time.Time // in the future: this attempt was not counted and must not be compared
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
	ID           string
	ChallengeID  string
	Ticket       Purpose // of the ticket that is spent, and of the one that follows it
	TicketHash   []byte
	RequestID    string     // empty where the citizen asks without a request
	Application  string     // of the request
	IdentifiedAt time.Time  // as the ticket has it
	Credential   Credential // as it will be, generation included
	Was          int64      // the generation it was read at
	Replaces     bool       // another key gives way
	Retired      string     // label of its token object, if it has one
	Change       Change
	Place        ca.Place // of the certificate
	LeaseUntil   time.Time
	Now          time.Time
	Notice       Notice
}

// operation is what the log files it under: the request, or the citizen where
// there is none.
func (i Issuance) operation() string { return cmp.Or(i.RequestID, i.Credential.CitizenID) }

func (t TicketRow) operation() string { return cmp.Or(t.RequestID, t.CitizenID) }

// Overdue is what a crash or time has left behind.
type Overdue struct {
	Intents      []OverdueItem
	Certificates []OverdueItem
	Requests     []OverdueItem
	TokenKeys    []OverdueItem
}

// OverdueItem names one of them.
type OverdueItem struct {
	ID          string
	RequestID   string // or the citizen, where there is none
	Identifier  string // of the citizen
	Application string // empty where there is no request
	Serial      string // of the certificate; empty of a request or a token object
	Credential  string // of an intent or a token object
}
