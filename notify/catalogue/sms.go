package catalogue

import (
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// SMSKind is the occasion of a one-time code.
type SMSKind string

// The occasions on which a code is sent.
const (
	SMSSign        SMSKind = "sms.sign"
	SMSSignMany    SMSKind = "sms.sign_many"
	SMSCertificate SMSKind = "sms.certificate"
	SMSActivation  SMSKind = "sms.activation"
	SMSPassword    SMSKind = "sms.password"
	SMSRevocation  SMSKind = "sms.revocation"
	SMSSuspension  SMSKind = "sms.suspension"
	SMSRelease     SMSKind = "sms.release"
	SMSExplicit    SMSKind = "sms.explicit" // typed at the application (SCAL1)

	SMSDeregistration SMSKind = "sms.deregistration"
	SMSEmail          SMSKind = "sms.email"
	SMSAssociation    SMSKind = "sms.association"

	SMSEnrolment SMSKind = "sms.enrolment"
	SMSPIN       SMSKind = "sms.pin" // its code may have letters
)

// SMS is what a code's message tells.
type SMS struct {
	Kind        SMSKind
	Application string // who asks; where no application does, the service
	Title       string // of the document; SMSSign only
	Count       int    // of documents; SMSSignMany only
	Reference   string // the characters that the page shows too; the two signing kinds
	Code        string // digits
	Host        string // of the page that takes the code, for the browser's autofill
}

// Names are cut no shorter than this.
const (
	shortestTitle       = 12
	shortestApplication = 16
)

// SMS composes a message in the GSM alphabet, within 160 septets wherever that
// can be had by cutting the middle out of the title and then of the
// application's name. Its last line binds the code to the host ("Origin-bound
// one-time codes delivered via SMS", WICG, section 3), which is why no name
// may bring a line break along: see toGSM.
func (m *Messages) SMS(s SMS) string {
	title, application := unquoted(s.Title), unquoted(s.Application)
	text := m.sms(s, application, title)
	if over := excess(text); over > 0 && s.Kind == SMSSign {
		title = shorten(title, max(shortestTitle, cost(title)-over))
		text = m.sms(s, application, title)
	}
	if over := excess(text); over > 0 {
		application = shorten(application, max(shortestApplication, cost(application)-over))
		text = m.sms(s, application, title)
	}
	return text
}

// Reminder is what an SMS reminds of.
type Reminder struct {
	Kind    policies.ReminderKind
	Service string // who speaks
	Host    string // where to go: named, so that nobody gets used to links in an SMS
	Ends    time.Time
}

// Reminder composes a reminder in the GSM alphabet, within 160 septets wherever
// that can be had by cutting the middle out of the service's name. It asks for
// nothing and holds nothing to press.
func (m *Messages) Reminder(r Reminder) string {
	text := m.reminder(r, toGSM(r.Service))
	if over := excess(text); over > 0 {
		service := toGSM(r.Service)
		text = m.reminder(r, shorten(service, max(shortestApplication, cost(service)-over)))
	}
	return text
}

func (m *Messages) reminder(r Reminder, service string) string {
	return toGSM(m.Text("sms."+string(r.Kind), map[string]any{"application": service, "day": m.Figures(r.Ends), "host": r.Host}))
}

// Notice is what an SMS without a code tells has happened.
type Notice struct {
	Kind    string // as the notice's: document_signed, phone_changed …
	Service string
	Host    string
	// Of document_signed.
	Title     string
	Reference string
}

// Notice composes a notice in the GSM alphabet, within 160 septets wherever that
// can be had by cutting the middle out of the title and then of the service's
// name. It asks for nothing and holds nothing to press.
func (m *Messages) Notice(n Notice) (string, error) {
	say := func(service, title string) (string, error) {
		text, err := m.Lookup("sms."+n.Kind, map[string]any{
			"application": service, "title": title, "reference": n.Reference, "host": n.Host,
		})
		return toGSM(text), err
	}
	service, title := toGSM(n.Service), unquoted(n.Title)
	text, err := say(service, title)
	if over := excess(text); over > 0 && title != "" {
		title = shorten(title, max(shortestTitle, cost(title)-over))
		text, err = say(service, title)
	}
	if over := excess(text); over > 0 {
		text, err = say(shorten(service, max(shortestApplication, cost(service)-over)), title)
	}
	return text, err
}

func (m *Messages) sms(s SMS, application, title string) string {
	text := m.Text(string(s.Kind), map[string]any{
		"application": application,
		"title":       title,
		"count":       s.Count,
		"reference":   s.Reference,
		"code":        grouped(s.Code),
	})
	return toGSM(text) + "\n@" + s.Host + " #" + s.Code
}

// unquoted keeps a name from closing the quotation that it stands in.
func unquoted(name string) string {
	return toGSM(strings.ReplaceAll(toGSM(name), `"`, "'"))
}

func cost(text string) int {
	septets, _ := Septets(text)
	return septets
}

func excess(text string) int { return cost(text) - MessageSeptets }

// grouped writes a code the way people copy it: 1234 5678, or 123 456 789.
func grouped(code string) string {
	size := 4
	if len(code)%3 == 0 {
		size = 3
	}
	var groups []string
	for len(code) > size {
		groups = append(groups, code[:size])
		code = code[size:]
	}
	return strings.Join(append(groups, code), " ")
}
