package notify

import (
	"context"
	"fmt"
	"strings"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
)

// Post puts messages with secrets into words and sends them. It fulfils
// citizen.Post.
type Post struct {
	Catalogue *catalogue.Catalogue
	Sender    Sender
	SMTP      SMTP
	Service   string
	PublicURL string // what links begin with
	Host      string // of the pages that take codes: browsers fill them in there alone
}

var _ citizen.Post = (*Post)(nil)

// Mail implements citizen.Post.
func (p *Post) Mail(ctx context.Context, m citizen.SecretMail) error {
	params := map[string]any{
		"name": m.Name, "service": p.Service, "url": p.PublicURL, "until": m.Until,
	}
	kinds := map[citizen.MessageKind]catalogue.MailKind{
		citizen.MailEmailLink:     catalogue.MailEmailLink,
		citizen.MailPasswordLink:  catalogue.MailPasswordLink,
		citizen.MailOperationsKey: catalogue.MailOperationsKey,
	}
	kind, known := kinds[m.Kind]
	if !known {
		return fmt.Errorf("no letter for %q", m.Kind)
	}
	if kind == catalogue.MailOperationsKey {
		params["key"] = m.Secret.Reveal()
	} else {
		params["link"] = strings.TrimRight(p.PublicURL, "/") + m.Secret.Reveal()
	}
	letter, err := p.Catalogue.For(m.Locale).Mail(kind, params)
	if err != nil {
		return err
	}
	return p.SMTP.send(ctx, m.To, letter)
}

// Text implements citizen.Post.
func (p *Post) Text(ctx context.Context, m citizen.SecretText) error {
	kinds := map[citizen.MessageKind]catalogue.SMSKind{
		citizen.TextEnrolment: catalogue.SMSEnrolment,
		citizen.TextPIN:       catalogue.SMSPIN,
	}
	kind, known := kinds[m.Kind]
	if !known {
		return fmt.Errorf("no SMS for %q", m.Kind)
	}
	text := p.Catalogue.For(m.Locale).SMS(catalogue.SMS{Kind: kind, Application: p.Service, Code: m.Secret.Reveal(), Host: p.Host})
	return p.Sender.Send(ctx, Message{ID: m.ID, To: m.Phone, Text: text})
}
