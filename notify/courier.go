package notify

import (
	"context"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/signer"
)

// Sender hands an SMS over. *Gateway fulfils it.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Courier puts one-time codes and reminders into words. It fulfils
// signer.Courier.
type Courier struct {
	Catalogue *catalogue.Catalogue
	Sender    Sender
	Service   string // who speaks where no application asks
	Host      string // of the signing pages: browsers fill the code in there alone
}

var _ signer.Courier = (*Courier)(nil)

// SendCode implements signer.Courier.
func (c *Courier) SendCode(ctx context.Context, m signer.CodeMessage) error {
	text := c.Catalogue.For(m.Locale).SMS(c.compose(m))
	return c.Sender.Send(ctx, Message{ID: m.ID, To: m.Phone, Text: text})
}

// Remind implements signer.Courier. When a telephone may ring is the caller's to know
// (policies.Rules.Daytime).
func (c *Courier) Remind(ctx context.Context, m signer.ReminderMessage) error {
	text := c.Catalogue.For(m.Locale).Reminder(catalogue.Reminder{Kind: m.Kind, Service: c.Service, Host: c.Host, Ends: m.Ends})
	return c.Sender.Send(ctx, Message{ID: m.ID, To: m.Phone, Text: text})
}

// Tell implements signer.Courier.
func (c *Courier) Tell(ctx context.Context, m signer.NoticeMessage) error {
	text, err := c.Catalogue.For(m.Locale).Notice(catalogue.Notice{
		Kind: m.Kind, Service: c.Service, Host: c.Host, Title: m.Title, Reference: m.Reference,
	})
	if err != nil {
		return err
	}
	return c.Sender.Send(ctx, Message{ID: m.ID, To: m.Phone, Text: text})
}

func (c *Courier) compose(m signer.CodeMessage) catalogue.SMS {
	s := catalogue.SMS{Application: c.Service, Code: m.Code.Reveal(), Host: c.Host}
	if m.RequestID == "" && m.Organisation != "" { // an affair that somebody has asked for
		s.Application = m.Organisation
	}
	switch m.Purpose {
	case signer.ForActivation:
		s.Kind = catalogue.SMSActivation
	case signer.ForCertificate:
		s.Kind = catalogue.SMSCertificate
	case signer.ForPassword:
		s.Kind = catalogue.SMSPassword
	case signer.ForAffairs, signer.ForAccess: // of tickets alone; their codes name what they are for
	case signer.ForRevocation:
		s.Kind = catalogue.SMSRevocation
	case signer.ForSuspension:
		s.Kind = catalogue.SMSSuspension
	case signer.ForRelease:
		s.Kind = catalogue.SMSRelease
	case signer.ForDeregistration:
		s.Kind = catalogue.SMSDeregistration
	case signer.ForEmail:
		s.Kind = catalogue.SMSEmail
	case signer.ForAssociation:
		s.Kind = catalogue.SMSAssociation
	case signer.ForSignature:
		s.Kind, s.Application, s.Title, s.Count, s.Reference = catalogue.SMSSign, m.Organisation, m.Title, m.Documents, m.Reference
		switch {
		case m.Documents > 1:
			s.Kind = catalogue.SMSSignMany
		case m.Documents == 0: // what is signed is not known yet
			s.Kind = catalogue.SMSExplicit
		}
	}
	return s
}
