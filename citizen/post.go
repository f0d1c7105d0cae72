package citizen

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"time"
)

// Secret is a text that opens something to whoever reads it: the link in a
// mail, an operations key, a PIN. It shows itself in no log and no JSON.
type Secret struct{ text string }

// NewSecret takes a text as it will be read.
func NewSecret(text string) Secret { return Secret{text} }

// DrawSecret draws 256 bits for a program to show who it is with, and their
// SHA-256, which is all that is kept.
func DrawSecret() (s Secret, hash []byte) {
	var b [32]byte
	rand.Read(b[:])
	text := base64.RawURLEncoding.EncodeToString(b[:])
	sum := sha256.Sum256([]byte(text))
	return NewSecret(text), sum[:]
}

// Reveal gives the text, for the message that carries it.
func (s Secret) Reveal() string { return s.text }

// String redacts.
func (Secret) String() string { return redacted }

// GoString redacts.
func (Secret) GoString() string { return redacted }

// LogValue redacts.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON redacts.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MessageKind is what a message with a secret is about.
type MessageKind string

// The messages that hold a secret outside of the ceremony's codes.
const (
	MailEmailLink     MessageKind = "email_link"     // to the new address: a link that confirms it
	MailPasswordLink  MessageKind = "password_link"  // a link to the page that sets a new password
	MailOperationsKey MessageKind = "operations_key" // of a municipal card
	TextEnrolment     MessageKind = "enrolment"      // a code that proves a mobile
	TextPIN           MessageKind = "pin"            // that identifies once
)

// SecretMail is a mail with a secret.
type SecretMail struct {
	Kind   MessageKind
	To     string
	Name   string // whom it addresses; empty where no name is known
	Locale string
	Secret Secret    // the operations key; of a link, what follows the public address, from the slash on
	Until  time.Time // when the secret ends; zero if it does not
}

// SecretText is an SMS with a secret.
type SecretText struct {
	ID     string // the same for the same message: an operator may drop a duplicate
	Kind   MessageKind
	Phone  string // E.164
	Locale string
	Secret Secret
}

// Post sends messages with secrets from the process that made them: no job
// and no table ever holds one. A message is handed over once. An error means
// that nobody took it, and is a *policies.Refusal where its reader can do
// something about it.
type Post interface {
	Mail(ctx context.Context, m SecretMail) error
	Text(ctx context.Context, m SecretText) error
}
