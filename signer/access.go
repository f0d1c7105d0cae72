package signer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Via is how somebody was identified who may see the citizen's own pages.
type Via string

// The ways in. Only who knows the password may change anything; the others see.
const (
	ViaPassword    Via = "password"
	ViaPIN         Via = "pin"
	ViaCertificate Via = "certificate"
	ViaCard        Via = "card"
)

// factor is the word of the log for it.
func (v Via) factor() string {
	if v == ViaPassword {
		return "knowledge"
	}
	return string(v)
}

// Entrance is a citizen who was identified in another way than by the password.
type Entrance struct {
	CitizenID  string
	Via        Via
	RemoteAddr string // for the log
}

// Access lets a citizen in to the own pages whom another service of this process
// has identified: it believes its caller, and no call of the RPC may lead here
// without a proof. The ticket neither signs nor changes anything.
func (s *Service) Access(ctx context.Context, e Entrance) (Session, error) {
	// A ticket of the password is Identify's to make: it has the key that is guarded.
	if !slices.Contains([]Via{ViaPIN, ViaCertificate, ViaCard}, e.Via) {
		return Session{}, policies.Refuse(policies.RequestMalformed, "field", "via")
	}
	c, _, err := s.people.ByID(ctx, e.CitizenID)
	if err != nil {
		return Session{}, err
	}
	if err := policies.Belong(policies.Status(c.Status)); err != nil {
		return Session{}, outwardly(err)
	}
	now, ticket := s.Now(), NewTicket()
	row, err := s.Vault.SealTicket(ctx, TicketRow{
		Hash: ticket.Hash(), Purpose: ForAccess, Via: e.Via, CitizenID: c.ID, Source: Source(e.RemoteAddr),
		IdentifiedAt: now, ExpiresAt: s.Limits.accessUntil(now),
	})
	if err != nil {
		return Session{}, err
	}
	err = s.Store.OpenAccess(ctx, row, audit.Entry{
		Type: audit.AuthSucceeded, Operation: c.ID, At: now, Person: c.Identifier,
		Payload: facts{"factor": e.Via.factor(), "address": e.RemoteAddr},
	})
	if err != nil {
		return Session{}, err
	}
	return Session{Ticket: ticket, ExpiresAt: row.ExpiresAt}, nil
}

// outwardly is what is told of a refusal to somebody who is not at a desk.
func outwardly(err error) error {
	if refusal, ok := errors.AsType[*policies.Refusal](err); ok {
		return refusal.Outwardly()
	}
	return err
}

// accessUntil is cut as the database keeps it, for the seal covers it.
func (l Limits) accessUntil(now time.Time) time.Time {
	return now.Add(l.AccessLife).Truncate(time.Microsecond)
}

// changes reports whether a ticket of the own pages may change anything.
func (t TicketRow) changes() bool { return t.Purpose == ForAccess && t.Via == ViaPassword }
