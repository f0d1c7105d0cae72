package citizen

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Renewal is another proof of the identity of somebody who is registered.
type Renewal struct {
	Mode          policies.Mode // office if it is empty
	DocumentUntil time.Time
	Evidence      map[string]string
	Office        string
	Officer       string
	By            By
	Proved        Proved
}

// RenewRegistration begins the registration's years anew, at the advanced level
// whatever it had: only what makes that level renews (policies.SourceRenewal).
// Certificates stay as they are.
func (s *Service) RenewRegistration(ctx context.Context, id Identifier, r Renewal) (Receipt, error) {
	now := s.Now()
	if err := s.validDocument(r.DocumentUntil, now); err != nil {
		return Receipt{}, err
	}
	c, k, err := s.present(ctx, id)
	if err != nil {
		return Receipt{}, err
	}
	c.DocumentUntil = r.DocumentUntil
	c.Registration = signer.Registration{
		Mode: string(cmp.Or(r.Mode, policies.ModeOffice)), Level: string(policies.LevelAdvanced),
		Office: r.Office, Officer: r.Officer, AssuredAt: later(now, c.Registration.AssuredAt),
	}
	change, err := s.People.Change(ctx, c, k)
	if err != nil {
		return Receipt{}, err
	}
	payload := map[string]any{
		"citizen": c.ID, "mode": c.Registration.Mode, "level": c.Registration.Level,
		"assured_at":     c.Registration.AssuredAt.UTC().Format(time.RFC3339),
		"document_until": c.DocumentUntil.Format(time.DateOnly),
	}
	if len(r.Evidence) > 0 {
		payload["evidence"] = r.Evidence
	}
	u := Update{
		Citizen: c, Evidence: r.Evidence, Enrolment: r.Proved.Enrolment, Change: change,
		Notice: signer.Notice{Kind: "registration_renewed", CitizenID: c.ID},
	}
	err = s.Store.RenewRegistration(ctx, u, audit.Entry{
		Type: audit.IdentityProved, Operation: c.ID, At: now, Person: c.Identifier,
		Payload: r.By.into(r.Proved.into(payload)),
	})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{CitizenID: c.ID, RegisteredAt: c.Registration.AssuredAt}, nil
}

// present is somebody who belongs to the service and is not blocked: what a
// block is for, only an office may look into.
func (s *Service) present(ctx context.Context, id Identifier) (signer.Citizen, *signer.Credential, error) {
	c, k, err := s.People.ByIdentifier(ctx, id.String())
	if err != nil {
		return c, nil, err
	}
	return c, k, policies.Belong(policies.Status(c.Status))
}

// PhoneChange is another mobile for a citizen.
type PhoneChange struct {
	Phone  Phone
	Order  Order
	Proved Proved
}

// ChangePhone has codes go to another mobile. The old number and the mail are
// told, and for a while nothing is issued and no password is set anew
// (policies.Rules.PhoneCoolOff): whoever lost a number to a thief has time to
// read of it.
func (s *Service) ChangePhone(ctx context.Context, id Identifier, change PhoneChange) error {
	c, k, err := s.present(ctx, id)
	if err != nil {
		return err
	}
	was := c.Phone
	if was == change.Phone.String() {
		return policies.Refuse(policies.PhoneTaken)
	}
	now := s.Now()
	c.Phone, c.PhoneChangedAt = change.Phone.String(), now
	return s.changeContact(ctx, c, k, contact{
		event: audit.PhoneChanged, from: signer.MaskPhone(was), to: change.Phone.Masked(), order: change.Order, proved: change.Proved,
		notice: signer.Notice{Kind: "phone_changed", CitizenID: c.ID, Former: was}, now: now,
	})
}

// EmailChange is another address for a citizen.
type EmailChange struct {
	Email Email
	Order Order
}

// ChangeEmail has mail go to another address. The old one is told.
func (s *Service) ChangeEmail(ctx context.Context, id Identifier, change EmailChange) error {
	c, k, err := s.present(ctx, id)
	if err != nil {
		return err
	}
	was, err := ParseEmail(c.Email)
	if err != nil {
		return errors.Join(errors.New("reading a stored address"), err)
	}
	c.Email = change.Email.String()
	return s.changeContact(ctx, c, k, contact{
		event: audit.MailChanged, from: was.Masked(), to: change.Email.Masked(), order: change.Order,
		notice: signer.Notice{Kind: "email_changed", CitizenID: c.ID, Former: was.String()}, now: s.Now(),
	})
}

// contact is a change of an address, told.
type contact struct {
	event    audit.EventType
	from, to string // masked
	order    Order
	proved   Proved
	notice   signer.Notice
	now      time.Time
}

func (s *Service) changeContact(ctx context.Context, c signer.Citizen, k *signer.Credential, t contact) error {
	change, err := s.People.Change(ctx, c, k)
	if err != nil {
		return err
	}
	payload := map[string]any{"by": t.order.By.String(), "from": t.from, "to": t.to}
	if t.order.Reason != "" {
		payload["reason"] = t.order.Reason
	}
	return s.Store.ChangeContact(ctx, Update{Citizen: c, Enrolment: t.proved.Enrolment, Change: change, Notice: t.notice}, audit.Entry{
		Type: t.event, Operation: c.ID, At: t.now, Person: c.Identifier, Payload: t.order.By.into(t.proved.into(payload)),
	})
}
