package signer

import (
	"context"
	"time"
)

// Module is the narrow contract between the public side and the signature
// activation module (DESIGN section 4). *Service fulfils it in the signer
// process, rpc.Client in the api process. Every error that a citizen can meet
// is a *policies.Refusal.
type Module interface {
	// Open puts a stored request before its citizen: received → pending,
	// with its log entry. Opening an open request is not an error.
	Open(ctx context.Context, requestID string) error
	// Identify checks DNI/NIE and password for one request, or without one for
	// the citizen's own affairs. An unknown citizen and a wrong password cost
	// the same and answer the same. Older sessions and codes of the request die.
	Identify(ctx context.Context, who Identification) (Session, error)
	// SendCode sends a one-time code to the registered mobile.
	SendCode(ctx context.Context, order CodeOrder) (Challenge, error)
	// IssueCredential generates the citizen's key and has it certified: the
	// first one, or in the place of one that ends soon or has ended. The ticket
	// is spent; the returned session holds its successor.
	IssueCredential(ctx context.Context, answer Answer) (Session, error)
	// Authorise spends ticket and code: what it returns is good for one
	// signature of exactly the documents that were shown, for five minutes.
	Authorise(ctx context.Context, answer Answer) (Authorised, error)
	// Sign spends the authorisation (AuthorisationInvalid, AuthorisationExpired).
	Sign(ctx context.Context, sad SAD) error
	// SignHashes is Sign of a consent over hashes alone, whose holder says how the
	// key is to be used on them (RequestMalformed, DigestRefused).
	SignHashes(ctx context.Context, order HashOrder) error
	// Refuse closes the request at the citizen's wish.
	Refuse(ctx context.Context, ticket Ticket) error
}

// Identification is the first factor, for one request.
type Identification struct {
	RequestID  string // empty: for the citizen's own affairs
	Identifier string // already parsed at the edge
	// Access asks for the citizen's own pages; RequestID is empty then.
	Access     bool
	Password   []byte // zeroed by the callee
	RemoteAddr string // for the log
}

// Session is an identified citizen at one request.
type Session struct {
	Ticket    Ticket
	ExpiresAt time.Time
	// Certified is whether the citizen has a certificate that can sign now.
	Certified bool
}

// Purpose is what a one-time code is for.
type Purpose string

// The purposes of tickets and codes. A code is bound to its own ticket and
// usable for nothing else.
const (
	ForActivation Purpose = "activation" // tickets and codes
	ForSignature  Purpose = "signature"  // tickets and codes of a request
	// ForAffairs is a ticket's: an identified citizen without a request. Its
	// codes are for one of the following.
	ForAffairs     Purpose = "affairs"
	ForCertificate Purpose = "certificate" // to be issued or renewed; of a request's ticket too
	ForPassword    Purpose = "password"    // to be changed
	ForRevocation  Purpose = "revocation"
	ForSuspension  Purpose = "suspension"
	ForRelease     Purpose = "release" // of a suspended certificate
	// ForAccess is a ticket's that may see the citizen's own pages. Its codes are
	// for one of the following.
	ForAccess         Purpose = "access"
	ForDeregistration Purpose = "deregistration"
	ForEmail          Purpose = "email"       // to be changed
	ForAssociation    Purpose = "association" // of a certificate, and its end
)

// CodeOrder asks for a code.
type CodeOrder struct {
	Ticket  Ticket
	Purpose Purpose
	// ApplicationID is who has asked the citizen for an affair: ForCertificate or
	// ForRevocation. Empty: nobody has.
	ApplicationID string
}

// Challenge is a code that was sent, as far as the page may know it.
type Challenge struct {
	ID          string
	Reference   string // 4 characters derived from the hashes, also in the SMS; empty unless ForSignature
	MaskedPhone string
	SentAt      time.Time
	ExpiresAt   time.Time
	ResendAt    time.Time // before this, another code is refused
	TriesLeft   int
}

// Authorised is a consent that waits to be spent.
type Authorised struct {
	SAD       SAD
	ExpiresAt time.Time
}

// Answer is the second factor.
type Answer struct {
	Ticket Ticket
	Code   Code
}
