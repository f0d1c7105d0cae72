package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Records is what letters tell of.
type Records interface {
	Request(ctx context.Context, id string) (signer.Request, error)
	// Recipient reads a citizen and the newest certificate, nil if none.
	Recipient(ctx context.Context, citizenID string) (signer.Citizen, *signer.Certificate, error)
}

// Mailer writes the letters that notices ask for.
type Mailer struct {
	Catalogue *catalogue.Catalogue
	Records   Records
	SMTP      SMTP
	Service   string
	PublicURL string
	// Rules say whether a reminder still holds, and what its citizen has to
	// mend before renewing.
	Rules policies.Rules
	Now   func() time.Time
}

// certificatePath is the page on the citizen's certificate.
const certificatePath = "/certificado"

// Deliver composes a notice's letter and hands it to the mail server. A
// reminder that no longer holds, because its citizen has acted upon another or
// is gone, is dropped.
func (m *Mailer) Deliver(ctx context.Context, n signer.Notice) error {
	citizen, certificate, err := m.Records.Recipient(ctx, n.CitizenID)
	if err != nil {
		return fmt.Errorf("reading the recipient: %w", err)
	}
	words := m.Catalogue.For(citizen.Locale)
	about := occasion{Notice: n, citizen: citizen, certificate: certificate, words: words, now: m.Now()}
	if about.reminds() && !about.holds(m.Rules) {
		return nil
	}
	kind, params, err := m.compose(ctx, about)
	if err != nil {
		return err
	}
	letter, err := words.Mail(kind, params)
	if err != nil {
		return err
	}
	to := citizen.Email
	if strings.Contains(n.Former, "@") {
		to = n.Former
	}
	return m.SMTP.send(ctx, to, letter)
}

func (m *Mailer) compose(ctx context.Context, o occasion) (catalogue.MailKind, map[string]any, error) {
	params := map[string]any{
		"name": o.citizen.GivenName, "service": m.Service, "url": m.PublicURL, "page": m.PublicURL + certificatePath, "when": o.now,
	}
	if kind, ok := plainLetters()[o.Kind]; ok {
		return kind, params, nil
	}
	if o.reminds() {
		return o.reminder(m.Rules, params), params, nil
	}
	switch o.Kind {
	case "certificate_issued", "certificate_renewed":
		if o.certificate == nil {
			return "", nil, fmt.Errorf("notice %s: the citizen has no certificate", o.Kind)
		}
		params["serial"], params["until"] = o.certificate.Serial, o.certificate.NotAfter
		if o.Kind == "certificate_renewed" {
			return catalogue.MailRenewed, params, nil
		}
		return catalogue.MailCertificate, params, nil
	case "document_signed":
		r, err := m.Records.Request(ctx, o.RequestID)
		if err != nil {
			return "", nil, fmt.Errorf("reading the request: %w", err)
		}
		params["title"], params["application"], params["when"] = r.Title, r.Application.Organisation, r.ClosedAt
		params["reference"] = r.Reference()
		return catalogue.MailSigned, params, nil
	}
	return "", nil, fmt.Errorf("no letter for notice %q", o.Kind)
}

// plainLetters are those that tell nothing but what happened and when.
func plainLetters() map[string]catalogue.MailKind {
	return map[string]catalogue.MailKind{
		"activated":             catalogue.MailActivated,
		"certificate_revoked":   catalogue.MailRevoked,
		"certificate_suspended": catalogue.MailSuspended,
		"certificate_released":  catalogue.MailReleased,
		"password_changed":      catalogue.MailPassword,
		"citizen_blocked":       catalogue.MailBlocked,
		"citizen_deregistered":  catalogue.MailGone,
		"registered":            catalogue.MailRegistered,
		"registration_renewed":  catalogue.MailReregistered,
		"phone_changed":         catalogue.MailPhone,
		"email_changed":         catalogue.MailEmail,
		"associated":            catalogue.MailAssociated,
		"dissociated":           catalogue.MailDissociated,
		"incident_opened":       catalogue.MailIncident,
		"letter_requested":      catalogue.MailLetter,
	}
}
