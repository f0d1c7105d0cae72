package catalogue

import (
	"fmt"
	"maps"
	"strings"
)

// MailKind is the occasion of a letter.
type MailKind string

// The occasions on which a citizen is written to, each with the parameters
// that its letter names. Moments are time.Time and are told in the reader's
// zone.
const (
	MailActivated   MailKind = "mail.activated"   // name, service, when, url
	MailCertificate MailKind = "mail.certificate" // name, service, serial, until, url
	MailSigned      MailKind = "mail.signed"      // name, service, title, application, when, reference, url
	MailRevoked     MailKind = "mail.revoked"     // name, service, when, url; likewise the ones below
	MailPassword    MailKind = "mail.password"
	MailBlocked     MailKind = "mail.blocked"
	MailGone        MailKind = "mail.deregistered"
	MailRenewed     MailKind = "mail.renewed"   // as MailCertificate
	MailSuspended   MailKind = "mail.suspended" // name, service, when, page
	MailReleased    MailKind = "mail.released"  // likewise

	MailExpires      MailKind = "mail.certificate_expires"       // name, service, day (of until), until, page
	MailExpiresFirst MailKind = "mail.certificate_expires_first" // likewise, and obstacle, detail, remedy
	MailAges         MailKind = "mail.registration_ages"         // name, service, since, day, until, url

	MailRegistered   MailKind = "mail.registered" // name, service, when, url; likewise the ones below
	MailReregistered MailKind = "mail.registration_renewed"
	MailPhone        MailKind = "mail.phone_changed"
	MailEmail        MailKind = "mail.email_changed"
	MailAssociated   MailKind = "mail.associated"
	MailDissociated  MailKind = "mail.dissociated"
	MailIncident     MailKind = "mail.incident_opened"
	MailLetter       MailKind = "mail.letter_requested"

	MailEmailLink     MailKind = "mail.email_link"     // name, service, link, until, url
	MailPasswordLink  MailKind = "mail.password_link"  // name, service, link, until, url
	MailOperationsKey MailKind = "mail.operations_key" // service, key, url
)

// MailKinds is the closed list of letters.
func MailKinds() []MailKind {
	return []MailKind{
		MailActivated, MailCertificate, MailSigned, MailRevoked, MailPassword, MailBlocked, MailGone,
		MailRenewed, MailSuspended, MailReleased, MailExpires, MailExpiresFirst, MailAges,
		MailRegistered, MailReregistered, MailPhone, MailEmail, MailAssociated, MailDissociated, MailIncident, MailLetter,
		MailEmailLink, MailPasswordLink, MailOperationsKey,
	}
}

// Mail is a letter in plain text.
type Mail struct {
	Subject string
	Body    string
}

// Mail composes a letter. Unlike a page, a letter cannot be asked for again: a
// missing parameter is an error, and nothing is sent. Names come from
// applications and registrations: none may bring lines of its own along.
func (m *Messages) Mail(kind MailKind, params map[string]any) (Mail, error) {
	params = maps.Clone(params)
	for name, value := range params {
		if text, ok := value.(string); ok {
			params[name] = strings.Join(strings.Fields(text), " ")
		}
	}
	subject, err := m.Lookup(string(kind)+".subject", params)
	if err != nil {
		return Mail{}, fmt.Errorf("composing the subject: %w", err)
	}
	body, err := m.Lookup(string(kind)+".body", params)
	if err != nil {
		return Mail{}, fmt.Errorf("composing the letter: %w", err)
	}
	return Mail{Subject: subject, Body: strings.TrimSpace(body) + "\n"}, nil
}
