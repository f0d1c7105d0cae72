package signer_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Whoever comes in the name of somebody who has died, with whatever they have of
// them, is let in by no door, and at none is told of the death.
func TestDeathAtEachDoor(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	r.activate(ana, anaPhone)
	id, person := r.identifier(ana), r.person(ana, anaPhone)
	receipt := must[citizen.Receipt](t)(r.register.RenewActivation(t.Context(), id, byOffice()))
	before := must[signer.Ticket](t)(r.begins(ana, citizen.ClassDNIe, citizen.ProcedurePhone))
	r.well("asking for a code", r.asks(before, evaPhone))
	r.well("reporting", r.register.ReportDeath(t.Context(), id, citizen.Order{
		By: byOffice(), Reason: "Lo comunica su hija.", Evidence: map[string]string{"document": "Registro Civil de Soria, certificado 77"},
	}))

	for procedure, want := range map[citizen.Procedure]policies.Code{
		citizen.ProcedureRegister:   policies.RegistrationInPerson,
		citizen.ProcedureRenew:      policies.CitizenUnknown,
		citizen.ProcedurePhone:      policies.CitizenUnknown,
		citizen.ProcedureActivation: policies.CitizenUnknown,
		citizen.ProcedureAssociate:  policies.CitizenUnknown,
		citizen.ProcedureAccess:     policies.CitizenUnknown,
	} {
		_, err := r.begins(ana, citizen.ClassDNIe, procedure)
		r.refused("showing the DNIe for "+string(procedure), err, want)
	}
	_, err := r.completes(before, citizen.ProcedurePhone)
	r.refused("ending what was begun before", err, policies.CitizenUnknown)
	_, _, err = r.register.StartActivation(t.Context(), citizen.Claim{
		Identifier: id, Email: person.Email, Code: receipt.ActivationCode, RemoteAddr: home,
	})
	r.refused("activating", err, policies.ActivationMismatch)
	if n := r.count(`SELECT count(*) FROM log_entries WHERE type = 'citizen.deceased' AND convert_from(payload, 'UTF8')::jsonb @> '{"evidence": {"document": "Registro Civil de Soria, certificado 77"}}'`); n != 1 {
		t.Errorf("got %d entries that name the document, want 1", n)
	}
	r.activate(eva, anaPhone) // the number is somebody else's now
	r.invariants()
}

// Whoever was never registered can have died too: nobody is registered in that
// name, with whatever was begun before, until it turns out that they live.
func TestDeathOfAStranger(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	id, person := r.identifier(ana), r.person(ana, anaPhone)
	before := must[signer.Ticket](t)(r.begins(ana, citizen.ClassDNIe, citizen.ProcedureRegister))
	r.well("asking for a code", r.asks(before, anaPhone))
	o := citizen.Order{By: byOffice(), Reason: "Lo comunica su hija.", Evidence: map[string]string{"document": "Registro Civil de Soria, certificado 77"}}
	r.well("reporting", r.register.ReportDeath(t.Context(), id, o))

	r.refused("reporting twice", r.register.ReportDeath(t.Context(), id, o), policies.CitizenDeceased)
	_, err := r.register.Register(t.Context(), person)
	r.refused("registering at the desk", err, policies.CitizenDeceased)
	_, err = r.begins(ana, citizen.ClassDNIe, citizen.ProcedureRegister)
	r.refused("registering with the DNIe", err, policies.RegistrationInPerson)
	_, err = r.completes(before, citizen.ProcedureRegister)
	r.refused("ending what was begun before", err, policies.RegistrationInPerson)
	_, err = r.begins(ana, citizen.ClassDNIe, citizen.ProcedureAccess)
	r.refused("the own pages", err, policies.CitizenUnknown) // as of a stranger
	r.sql(`UPDATE citizens SET status = 'deregistered' WHERE identifier = $1`, ana)
	_, err = r.register.Register(t.Context(), person)
	r.refused("registering after the row was altered", err, policies.RecordTampered)
	r.sql(`UPDATE citizens SET status = 'deceased' WHERE identifier = $1`, ana)
	if n := r.count(`SELECT count(*) FROM log_entries WHERE type = 'citizen.deceased' AND convert_from(payload, 'UTF8')::jsonb @> '{"reason": "Lo comunica su hija.", "evidence": {"document": "Registro Civil de Soria, certificado 77"}}' AND NOT convert_from(payload, 'UTF8')::jsonb ? 'from'`); n != 1 {
		t.Errorf("got %d entries of the death, want 1", n)
	}
	r.activate(eva, evaPhone) // without a number, nobody's is taken

	r.well("correcting", r.register.CorrectDeath(t.Context(), id, order()))
	r.clock.advance(time.Hour)
	r.activate(ana, anaPhone)
	if n := r.count(`SELECT count(*) FROM log_entries WHERE type = 'registration.created' AND person = $1 AND NOT convert_from(payload, 'UTF8')::jsonb ? 'again'`, ana); n != 1 {
		t.Errorf("got %d first registrations in the log, want 1", n)
	}
	r.invariants()
}

// A letter that was on its way is worth nothing, and no other is sent.
func TestDeathAndLetters(t *testing.T) {
	t.Parallel()
	m := newMailroom(t)
	id := m.identifier(ana)
	m.activate(ana, anaPhone)
	m.well("leaving", m.register.Deregister(t.Context(), id, order()))
	m.well("asking for a letter", m.request(ana, leoAccount, "192.0.2.1"))
	letter := must[citizen.PrintableLetter](t)(m.print(m.only(), ana))
	m.well("reporting", m.register.ReportDeath(t.Context(), id, order()))

	m.refused("answering the letter", m.answer(ana, m.valid, letter.Code, "192.0.2.1"), policies.LetterMismatch)
	m.clock.advance(20 * 24 * time.Hour)
	m.well("asking for another", m.request(ana, leoAccount, "192.0.2.1")) // which anybody is answered
	if waiting := m.texts(`SELECT id FROM letters WHERE state IN ('requested', 'printed')`); len(waiting) != 0 {
		t.Errorf("got letters %v, want none", waiting)
	}
	m.well("reporting a stranger", m.register.ReportDeath(t.Context(), m.identifier(eva), order()))
	m.well("asking in their name", m.request(eva, leoAccount, "192.0.2.2"))
	outcomes := m.texts(`SELECT convert_from(payload, 'UTF8')::jsonb->>'outcome' FROM log_entries WHERE type = 'letter.requested' ORDER BY seq DESC LIMIT 2`)
	if diff := cmp.Diff([]string{"deceased", "deceased"}, outcomes); diff != "" {
		t.Errorf("in the log, want that the two have died (-want +got):\n%s", diff)
	}
}
