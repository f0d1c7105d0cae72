package citizen

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// SetPassword ends an activation. Where there was a key, the old password was
// forgotten and nobody can open it any more: it is destroyed and its
// certificates are revoked. Whoever gave the activation code only began this:
// the password is the citizen's to choose, after a code by SMS.
func (s *Service) SetPassword(ctx context.Context, ticket signer.Ticket, password Password) error {
	defer password.Zero()
	now := s.Now()
	row, err := s.confirmed(ctx, ticket, signer.ForActivation, now)
	if err != nil {
		return err
	}
	c, last, err := s.People.ByID(ctx, row.CitizenID)
	if err != nil {
		return err
	}
	if err := policies.SetPassword(signer.Facts(c, last, now), s.Rules); err != nil {
		return err
	}
	if err := s.acceptable(ctx, c, last, password); err != nil {
		return err
	}

	k := signer.Credential{
		ID: rand.Text(), CitizenID: c.ID, Generation: 1, State: signer.Empty,
		Keeper: s.Vault.Epochs().Keeper, KEK: s.Vault.Epochs().KEK, PasswordAt: now,
	}
	if k.Sealed, err = s.Vault.Enrol(ctx, c.ID, k.ID, password.Reveal()); err != nil {
		return err
	}
	if c.Status == signer.Registered {
		c.Status = signer.Active
	}
	change, err := s.People.Change(ctx, c, &k)
	if err != nil {
		return err
	}
	return s.Store.SetPassword(ctx, row, k, change,
		signer.Notice{Kind: "activated", CitizenID: c.ID},
		audit.Entry{
			Type: audit.PasswordSet, Operation: c.ID, At: now, Person: c.Identifier,
			Payload: map[string]any{"credential": k.ID, "factors": []string{"activation", "possession"}},
		},
		audit.Entry{
			Type: audit.ActivationDone, Operation: c.ID, At: now, Person: c.Identifier,
			Payload: map[string]any{"citizen": c.ID},
		})
}

// ChangePassword moves the citizen's key under another password. The present
// one was proved when the ticket was made, and the ticket carries what opens
// the key; the code was right. Certificates stay.
func (s *Service) ChangePassword(ctx context.Context, ticket signer.Ticket, password Password) error {
	defer password.Zero()
	m, err := s.resealed(ctx, ticket, password)
	if err != nil {
		return err
	}
	change, err := s.People.Change(ctx, m.citizen, &m.next)
	if err != nil {
		return err
	}
	return s.Store.ChangePassword(ctx, PasswordChange{
		Ticket: m.ticket, Credential: m.next, Change: change,
		Notice: signer.Notice{Kind: "password_changed", CitizenID: m.citizen.ID},
	}, audit.Entry{
		Type: audit.PasswordChanged, Operation: m.citizen.ID, At: m.now, Person: m.citizen.Identifier,
		Payload: map[string]any{
			"credential": m.next.ID, "generation": m.next.Generation, "factors": []string{"knowledge", "possession"},
		},
	})
}

// resealing is a citizen's key as it is going to be, under another password.
type resealing struct {
	ticket  signer.TicketRow
	citizen signer.Citizen
	next    signer.Credential
	now     time.Time
}

// resealed seals the key of whoever holds a confirmed ticket under another
// password, and stores nothing.
func (s *Service) resealed(ctx context.Context, ticket signer.Ticket, password Password) (m resealing, err error) {
	m.now = s.Now()
	if m.ticket, err = s.confirmed(ctx, ticket, signer.ForAffairs, m.now); err != nil {
		return m, err
	}
	var k *signer.Credential
	if m.citizen, k, err = s.People.ByID(ctx, m.ticket.CitizenID); err != nil {
		return m, err
	}
	if m.citizen.Status != signer.Active || k == nil || k.ID != m.ticket.CredentialID || k.Generation != m.ticket.Generation {
		return m, policies.Refuse(policies.SessionExpired)
	}
	if err := s.acceptable(ctx, m.citizen, k, password); err != nil {
		return m, err
	}
	ks, err := m.ticket.SealingKey(ticket)
	if err != nil {
		return m, err
	}
	defer clear(ks)
	m.next = *k
	if m.next.Sealed, err = s.Vault.Reseal(ctx, k.Sealed, ks, password.Reveal()); err != nil {
		return m, err
	}
	m.next.Generation, m.next.PasswordAt = m.next.Sealed.Generation, m.now
	return m, nil
}

// acceptable holds a password against the rules. That it is not the last one
// is found by trying it, since no hash exists.
func (s *Service) acceptable(ctx context.Context, c signer.Citizen, last *signer.Credential, password Password) error {
	identifier, err := ParseIdentifier(c.Identifier)
	if err != nil {
		return fmt.Errorf("reading a stored identifier: %w", err)
	}
	name, err := ParseName(c.GivenName, c.Surnames)
	if err != nil {
		return fmt.Errorf("reading a stored name: %w", err)
	}
	if err := CheckPassword(password, PasswordContext{Name: name, Identifier: identifier}); err != nil {
		return err
	}
	if last == nil {
		return nil
	}
	same, err := s.Vault.Opens(ctx, last.Sealed, password.Reveal())
	if err != nil {
		return err
	}
	if same {
		return policies.Refuse(policies.PasswordWeak, "reason", "previous")
	}
	return nil
}
