package citizen

import (
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// LinkPath is the page that a mailed link leads to; the secret follows as its
// parameter LinkParameter.
const (
	LinkPath      = "/enlace"
	LinkParameter = "clave"
)

// Link is the secret of a mailed link. The database has its hash alone.
type Link struct{ bearer signer.Ticket }

// NewLink draws one.
func NewLink() Link { return Link{signer.NewTicket()} }

// ParseLink reads what Encode wrote (LinkInvalid).
func ParseLink(s string) (Link, error) {
	t, err := signer.ParseTicket(s)
	if err != nil {
		return Link{}, policies.Refuse(policies.LinkInvalid)
	}
	return Link{t}, nil
}

// Encode is the secret's form in the link and in the RPC, and nowhere else.
func (l Link) Encode() string { return l.bearer.Encode() }

// Hash identifies the row.
func (l Link) Hash() []byte { return l.bearer.Hash() }

// address is what follows the public address in the mail.
func (l Link) address() Secret { return NewSecret(LinkPath + "?" + LinkParameter + "=" + l.Encode()) }

// PendingKind is what a link changes.
type PendingKind string

// The changes that wait for a link.
const (
	PendingEmail    PendingKind = "email"
	PendingPassword PendingKind = "password"
)

// Pending is a change that waits for its link to be followed. Its seal keeps
// whoever can write the database from putting another address or box there.
type Pending struct {
	Hash      []byte // of the link
	CitizenID string
	Kind      PendingKind
	Email     string        // the new address, PendingEmail
	Sealed    signer.Sealed // the key under the new password, PendingPassword
	CreatedAt time.Time
	ExpiresAt time.Time
	Seal      []byte
	SealEpoch int
}

// pendingKind keeps seals of pending changes apart from all others.
const pendingKind = "pending change"

func (p Pending) fields() []string {
	return []string{
		fmt.Sprintf("%x", p.Hash), p.CitizenID, string(p.Kind), p.Email,
		p.Sealed.CredentialID, fmt.Sprint(p.Sealed.Generation), fmt.Sprint(p.Sealed.Pepper), fmt.Sprintf("%x", p.Sealed.Salt),
		fmt.Sprint(p.Sealed.Cost), fmt.Sprintf("%x", p.Sealed.Box), p.ExpiresAt.UTC().Format(time.RFC3339),
	}
}
