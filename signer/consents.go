package signer

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// ServiceConsent is a citizen's consent that an application may see of them what
// the scopes say. It is over no signature.
type ServiceConsent struct {
	ID          string
	CitizenID   string
	Application Application
	Scopes      []string
	GivenAt     time.Time
	Until       time.Time // when the last of it ends by itself; read only
}

// ConsentOrder is what a citizen who has just typed the password agrees to.
type ConsentOrder struct {
	Ticket        Ticket // of that log-in, for the citizen's affairs: it is spent
	ApplicationID string
	Scopes        []string
}

// Consent records that a citizen agrees that an application may see something
// (consent.given), and names the consent: no grant rests on one that the log does
// not have (SessionExpired).
func (s *Service) Consent(ctx context.Context, o ConsentOrder) (id string, err error) {
	now := s.Now()
	row, err := s.Store.Ticket(ctx, o.Ticket.Hash(), now)
	if err != nil {
		return "", err
	}
	if row.Purpose != ForAffairs {
		return "", policies.Refuse(policies.SessionExpired)
	}
	if err := s.Vault.Genuine(ctx, row, o.Ticket); err != nil {
		return "", err
	}
	c, _, err := s.people.ByID(ctx, row.CitizenID)
	if err != nil {
		return "", err
	}
	if c.Status != Active {
		return "", policies.Refuse(policies.SessionExpired)
	}
	given := ServiceConsent{ID: rand.Text(), CitizenID: c.ID, Application: Application{ID: o.ApplicationID}, Scopes: o.Scopes, GivenAt: now}
	return given.ID, s.Store.GiveConsent(ctx, given, row.Hash, audit.Entry{
		Type: audit.ConsentGiven, Operation: c.ID, At: now, Person: c.Identifier,
		Payload: facts{"application": o.ApplicationID, "consent": given.ID, "scopes": o.Scopes},
	})
}

// WithdrawConsent ends all that an application may see of the citizen whose pages
// these are, and what was granted because of it, at once (NotFound: nothing).
func (s *Service) WithdrawConsent(ctx context.Context, t Ticket, applicationID string) error {
	now := s.Now()
	row, err := s.Store.Ticket(ctx, t.Hash(), now)
	if err != nil {
		return err
	}
	if !row.changes() {
		return policies.Refuse(policies.SessionExpired)
	}
	if err := s.Vault.Genuine(ctx, row, t); err != nil {
		return err
	}
	c, _, err := s.people.ByID(ctx, row.CitizenID)
	if err != nil {
		return err
	}
	return s.Store.WithdrawConsents(ctx, c.ID, applicationID, audit.Entry{
		Type: audit.ConsentWithdrawn, Operation: c.ID, At: now, Person: c.Identifier,
		Payload: facts{"application": applicationID, "via": string(row.Via)},
	})
}
