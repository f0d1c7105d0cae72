package signer_test

import (
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// affairs is a session for the citizen's own.
func (s *spine) affairs() signer.Ticket {
	s.Helper()
	s.clock.advance(time.Hour)
	return must[signer.Session](s.T)(s.identify("", ana, password)).Ticket
}

// order asks for a code for what an application has asked for.
func (s *spine) order(t signer.Ticket, purpose signer.Purpose, applicationID string) error {
	s.Helper()
	_, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: t, Purpose: purpose, ApplicationID: applicationID})
	return err
}

// by counts the entries of a type that name the application.
func (s *spine) by(kind string) int {
	s.Helper()
	return s.count(`SELECT count(*) FROM log_entries WHERE type = $1 AND convert_from(payload, 'UTF8')::json->>'application' = $2`, kind, s.app.ID)
}

// TestErrand: SMS and log say which application has asked; the signer asks for its
// switch, and makes no second certificate for it.
func TestErrand(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	ticket := s.affairs()
	s.refused("the switch off", s.order(ticket, signer.ForCertificate, s.app.ID), policies.DoorNotAllowed)
	s.well("switching", s.db.Administration(store.Operator{}).Switch(t.Context(), s.app.ID, signer.SwitchCredentials, true, s.clock.Now()))
	s.refused("an unknown application", s.order(ticket, signer.ForCertificate, "other"), policies.DoorNotAllowed, policies.ApplicationUnknown)
	s.refused("another affair", s.order(ticket, signer.ForPassword, s.app.ID), policies.RequestMalformed)
	request := must[signer.Session](t)(s.identify(s.ask(ana, "contrato"), ana, password))
	s.refused("at a request", s.order(request.Ticket, signer.ForCertificate, s.app.ID), policies.RequestMalformed)
	s.refused("nothing to give up", s.order(ticket, signer.ForRevocation, s.app.ID), policies.CredentialMissing)

	s.well("sending", s.order(ticket, signer.ForCertificate, s.app.ID))
	if m := s.phone.last(); m.Organisation != s.app.Organisation || m.Purpose != signer.ForCertificate {
		t.Errorf("got %+v, want a message that names who asks", m)
	}
	answer := signer.Answer{Ticket: ticket, Code: s.phone.last().Code}
	s.sql(`UPDATE challenges SET application_id = NULL WHERE application_id IS NOT NULL`)
	_, err := s.module.IssueCredential(t.Context(), answer)
	s.refused("the code in a row that hides who asks", err, policies.CodeWrong)
	s.sql(`UPDATE challenges SET application_id = $1 WHERE state = 'sent'`, s.app.ID)
	_ = must[signer.Session](t)(s.module.IssueCredential(t.Context(), answer))
	_, err = s.module.IssueCredential(t.Context(), answer)
	s.refused("the code again", err, policies.SessionExpired)

	s.refused("another certificate", s.order(s.affairs(), signer.ForCertificate, s.app.ID), policies.CredentialExists)
	s.until(30 * 24 * time.Hour)
	id := must[citizen.Identifier](t)(citizen.ParseIdentifier(ana))
	_ = must[citizen.Receipt](t)(s.register.RenewRegistration(t.Context(), id, citizen.Renewal{
		DocumentUntil: s.clock.Now().AddDate(5, 0, 0), Office: "Oficina", Officer: "Rosa", By: byOffice(),
	}))
	ticket = s.affairs()
	s.refused("one that follows", s.order(ticket, signer.ForCertificate, s.app.ID), policies.CredentialExists)
	s.well("the citizen's own renewal", s.order(ticket, signer.ForCertificate, ""))

	ticket = s.affairs()
	s.well("sending", s.order(ticket, signer.ForRevocation, s.app.ID))
	s.well("giving it up", s.register.ChangeCertificate(t.Context(), citizen.CertificateChange{
		Answer: signer.Answer{Ticket: ticket, Code: s.phone.last().Code}, Purpose: signer.ForRevocation,
	}))
	for kind, want := range map[string]int{"certificate.intent": 1, "certificate.issued": 1, "certificate.refused": 2, "key.generated": 1, "key.revoked": 1, "code.sent": 2} {
		if got := s.by(kind); got != want {
			t.Errorf("%s: got %d entries that name the application, want %d", kind, got, want)
		}
	}
	s.invariants()
}
