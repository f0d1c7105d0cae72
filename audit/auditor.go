package audit

import "time"

// Auditor is an account of somebody who may ask the log, or who manages those
// who may; or of a program.
type Auditor struct {
	// ID is drawn, and public: the operation of the entries about the account.
	ID   string
	Name string
	// Role is auditor or administrator, never both.
	Role string
	// Certificate is the SHA-256 of the TLS client certificate (DER) that the
	// account may be entered with, nil if none.
	Certificate []byte
	// SecretHash is the SHA-256 of a program's secret, nil for others.
	SecretHash []byte
	CreatedAt  time.Time
	DisabledAt time.Time // zero while it is in use
}

// Disabled is whether the account is closed for good.
func (a Auditor) Disabled() bool { return !a.DisabledAt.IsZero() }

// AuditorState is an account as its administrators see it.
type AuditorState struct {
	Auditor
	Passkeys     int
	InvitedUntil time.Time // when an invitation that nobody has used yet ends; zero without one
}

// Visit is the time that an auditor spends at the door: a browser's session, or
// an access token of a program. Of its secret only the hash is kept.
type Visit struct {
	Hash    []byte // SHA-256
	Auditor Auditor
	// By is how the identity was proved: certificate, passkey or token.
	By string
	// Purpose is why the auditor asks, in their words; empty until it is stated,
	// and always of a token, which states it with each question.
	Purpose string
	// Certificate is the SHA-256 of the TLS client certificate that has to come
	// with each request, nil if anybody may bear the secret.
	Certificate          []byte
	CreatedAt, ExpiresAt time.Time
}

// Passkey is a WebAuthn credential of an auditor.
type Passkey struct {
	ID []byte
	// Record is the credential record (WebAuthn Level 3, section 4), as JSON.
	Record []byte
}

// Invitation lets whoever has its secret add a passkey to an account, once.
type Invitation struct {
	Hash      []byte // SHA-256
	Auditor   Auditor
	ExpiresAt time.Time
}
