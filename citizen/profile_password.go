package citizen

import (
	"context"
	"fmt"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// ChangePassword moves the citizen's key under another password, as
// Service.ChangePassword does; where the deployment wants a mailed link, it
// waits for it, and the present password stays until then.
func (p *Profile) ChangePassword(ctx context.Context, ticket signer.Ticket, password Password) (waits bool, err error) {
	if !p.PasswordLink {
		return false, p.Register.ChangePassword(ctx, ticket, password)
	}
	defer password.Zero()
	s := p.Register
	m, err := s.resealed(ctx, ticket, password)
	if err != nil {
		return false, err
	}
	to, err := ParseEmail(m.citizen.Email)
	if err != nil {
		return false, fmt.Errorf("reading a stored address: %w", err)
	}
	link := NewLink()
	pending, err := p.pending(ctx, Pending{
		Hash: link.Hash(), CitizenID: m.citizen.ID, Kind: PendingPassword, Sealed: m.next.Sealed, CreatedAt: m.now,
	})
	if err != nil {
		return false, err
	}
	facts := pending.facts(to)
	facts["factors"] = []string{"knowledge", "possession"}
	err = p.Store.AwaitPassword(ctx, pending, m.ticket, audit.Entry{
		Type: audit.LinkSent, Operation: m.citizen.ID, At: m.now, Person: m.citizen.Identifier, Payload: facts,
	})
	if err != nil {
		return false, err
	}
	return true, p.mail(ctx, m.citizen, MailPasswordLink, to.String(), link, pending)
}

// completePassword puts the box that waited in the place of the one of the
// present password. Where the key was sealed anew meanwhile, the box is of a
// key as it no longer is.
func (p *Profile) completePassword(ctx context.Context, v visit, pending Pending) error {
	k := v.credential
	if k == nil || k.ID != pending.Sealed.CredentialID || k.Generation+1 != pending.Sealed.Generation {
		return policies.Refuse(policies.LinkInvalid)
	}
	next := *k
	next.Sealed, next.Generation, next.PasswordAt = pending.Sealed, pending.Sealed.Generation, v.now
	v.credential = &next
	r, err := p.revision(ctx, v, "password_changed")
	if err != nil {
		return err
	}
	return p.Store.CompletePassword(ctx, pending, next, r, v.entry(audit.PasswordChanged, map[string]any{
		"credential": k.ID, "generation": next.Generation, "factors": []string{"knowledge", "possession"},
	}))
}
