package personnel

import "time"

// Account is somebody of the personnel, or a program.
type Account struct {
	// ID is drawn, and public: the operation of the entries about the account.
	ID   string
	Name string
	// Role is one of the kind's, never two.
	Role string
	// Office is the client id of the office that an officer acts for; empty for
	// auditors.
	Office string
	// Certificate is the SHA-256 of the TLS client certificate (DER) that the
	// account may be entered with, nil if none.
	Certificate []byte
	// SecretHash is the SHA-256 of a program's secret, nil for others.
	SecretHash []byte
	CreatedAt  time.Time
	DisabledAt time.Time // zero while it is in use
}

// Disabled is whether the account is closed for good.
func (a Account) Disabled() bool { return !a.DisabledAt.IsZero() }

// State is an account as its administrators see it.
type State struct {
	Account
	Passkeys     int
	InvitedUntil time.Time // when an invitation that nobody has used yet ends; zero without one
}

// Visit is the time that somebody spends at a door: a browser's session, or an
// access token of a program. Of its secret only the hash is kept.
type Visit struct {
	Hash    []byte // SHA-256
	Account Account
	// By is how the identity was proved: certificate, passkey or token.
	By string
	// Purpose is why the auditor asks, in their words; empty until it is stated,
	// always of a token, which states it with each question, and of an officer,
	// who states it with each look-up.
	Purpose string
	// Certificate is the SHA-256 of the TLS client certificate that has to come
	// with each request, nil if anybody may bear the secret.
	Certificate          []byte
	CreatedAt, ExpiresAt time.Time
}

// Passkey is a WebAuthn credential of an account.
type Passkey struct {
	ID []byte
	// Record is the credential record (WebAuthn Level 3, section 4), as JSON.
	Record []byte
}

// Invitation lets whoever has its secret add a passkey to an account, once.
type Invitation struct {
	Hash      []byte // SHA-256
	Account   Account
	ExpiresAt time.Time
}

// Identity is who has proved to be whom.
type Identity struct {
	ID   string
	Name string
	Role string
	// Office is the officer's, empty for auditors.
	Office string
	By     string // certificate, passkey, token
}

// Asking is who asks and why.
type Asking struct {
	Identity Identity
	// Purpose is the reason in their words.
	Purpose string
}
