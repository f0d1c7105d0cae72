package notify

import (
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// occasion is a notice with what its letter tells of, as of now.
type occasion struct {
	signer.Notice
	citizen     signer.Citizen
	certificate *signer.Certificate
	words       *catalogue.Messages
	now         time.Time
}

// reminds is whether the notice tells of something ahead. It may have waited:
// what it tells of is looked at again.
func (o occasion) reminds() bool {
	return o.Kind == string(policies.RemindCertificate) || o.Kind == string(policies.RemindRegistration)
}

func (o occasion) facts() policies.Facts {
	return signer.Facts(o.citizen, &signer.Credential{Certificate: o.certificate}, o.now)
}

// holds is whether what the notice reminds of is still to come.
func (o occasion) holds(rules policies.Rules) bool {
	return slices.ContainsFunc(policies.Reminders(o.facts(), rules), func(r policies.Reminder) bool {
		return string(r.Kind) == o.Kind && r.Days == o.Days && r.Ends.Equal(o.Ends)
	})
}

// reminder chooses the letter of a reminder and adds what it tells.
func (o occasion) reminder(rules policies.Rules, params map[string]any) catalogue.MailKind {
	params["day"], params["until"] = o.words.Day(o.Ends), o.Ends
	if o.Kind == string(policies.RemindRegistration) {
		params["since"] = o.words.Day(o.citizen.Registration.AssuredAt)
		return catalogue.MailAges
	}
	obstacles := policies.Preflight(o.facts(), rules).Renew
	if len(obstacles) == 0 {
		return catalogue.MailExpires
	}
	first := o.words.Refusal(obstacles[0])
	params["obstacle"], params["detail"], params["remedy"] = first.Title, first.Detail, first.Remedy
	return catalogue.MailExpiresFirst
}
