package signer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// postman is what the post has brought.
type postman struct {
	mu    sync.Mutex
	texts []citizen.SecretText
	fails error
}

func (m *postman) Mail(context.Context, citizen.SecretMail) error { return nil }

func (m *postman) Text(_ context.Context, t citizen.SecretText) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails != nil {
		return m.fails
	}
	m.texts = append(m.texts, t)
	return nil
}

func (m *postman) last(t *testing.T) (string, signer.Code) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	sms := m.texts[len(m.texts)-1]
	return sms.Phone, must[signer.Code](t)(signer.ParseCode(sms.Secret.Reveal()))
}

// registry is a spine with the registration authority on line.
type registry struct {
	*spine

	enrolments    *citizen.Enrolments
	presentations *citizen.Presentations
	postman       *postman
	der           []byte
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	s := newSpine(t, signer.SealedKeeper)
	r := &registry{spine: s, postman: &postman{}}
	r.register.Rules = s.module.Rules
	r.presentations = &citizen.Presentations{Store: s.db, Seals: s.vault, Now: s.clock.Now}
	r.enrolments = citizen.NewEnrolments(citizen.EnrolmentConfig{
		Register: s.register, Presentations: r.presentations, Store: s.db, Vault: s.vault, Access: s.module, Post: r.postman,
		Limits: citizen.DefaultEnrolmentLimits(),
	})
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(0xbeef), Issuer: pkix.Name{CommonName: "AC"}, NotAfter: time.Now().AddDate(1, 0, 0)}
	r.der = must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return r
}

// shows has somebody show a certificate, and gives what the browser holds then.
func (r *registry) shows(dni string, class citizen.CertificateClass, p citizen.Procedure) citizen.Redemption {
	r.Helper()
	verifier := sha256.Sum256([]byte(rand.Text()))
	challenge := sha256.Sum256(verifier[:])
	receipt := must[citizen.Receipt](r.T)(r.presentations.Present(r.Context(), citizen.Statement{
		ID: rand.Text(), Office: "registrar", OfficeName: "Registro", Officer: "certificate-door", Identifier: r.identifier(dni),
		Presentation: citizen.Presentation{
			Challenge: challenge[:], Procedure: p, Class: class, Identifier: r.identifier(dni), DER: r.der,
			Name: must[citizen.Name](r.T)(citizen.ParseName("Ana", "Núñez Pérez")), Evidence: map[string]string{"revocation": "ocsp"},
		},
	}))
	r.checker.Secrets = append(r.checker.Secrets, receipt.Code)
	return citizen.Redemption{Code: receipt.Code, Verifier: base64.RawURLEncoding.EncodeToString(verifier[:]), Procedure: p, RemoteAddr: home}
}

// begins is the same, and comes back with it.
func (r *registry) begins(dni string, class citizen.CertificateClass, p citizen.Procedure) (signer.Ticket, error) {
	r.Helper()
	redeemed, err := r.enrolments.Redeem(r.Context(), r.shows(dni, class, p))
	return redeemed.Ticket, err
}

// asks has a code sent to a mobile.
func (r *registry) asks(t signer.Ticket, mobile string) error {
	r.Helper()
	sent, err := r.enrolments.SendEnrolmentCode(r.Context(), citizen.EnrolmentOrder{
		Ticket: t, Phone: must[citizen.Phone](r.T)(citizen.ParsePhone(mobile)), Locale: "es",
		Email: must[citizen.Email](r.T)(citizen.ParseEmail("ana@example.es")), DocumentUntil: r.clock.Now().AddDate(3, 0, 0),
	})
	if err == nil {
		_, code := r.postman.last(r.T)
		r.checker.Secrets = append(r.checker.Secrets, code.Reveal())
		row := must[citizen.Enrolment](r.T)(r.db.Enrolment(r.Context(), t.Hash(), r.clock.Now()))
		if !row.CodeUntil().Equal(sent.ExpiresAt) {
			r.Errorf("the page would say %v, and the code ends at %v", row.CodeUntil(), sent.ExpiresAt)
		}
	}
	return err
}

func (r *registry) completes(t signer.Ticket, p citizen.Procedure) (citizen.Receipt, error) {
	r.Helper()
	answer := citizen.EnrolmentAnswer{Ticket: t, Procedure: p, DocumentUntil: r.clock.Now().AddDate(8, 0, 0)}
	if p == citizen.ProcedureRegister || p == citizen.ProcedurePhone {
		_, answer.Code = r.postman.last(r.T)
	}
	return r.enrolments.CompleteEnrolment(r.Context(), answer)
}

// registers does all of a registration on line.
func (r *registry) registers(dni, mobile string, class citizen.CertificateClass) citizen.Receipt {
	r.Helper()
	t := must[signer.Ticket](r.T)(r.begins(dni, class, citizen.ProcedureRegister))
	r.well("asking for a code", r.asks(t, mobile))
	receipt := must[citizen.Receipt](r.T)(r.completes(t, citizen.ProcedureRegister))
	r.checker.Secrets = append(r.checker.Secrets, receipt.ActivationCode.Reveal(), receipt.ActivationCode.Print())
	r.invariants()
	return receipt
}

// Registered with a certificate, activated, and no signing certificate by the
// stricter reading until the registration is renewed with the DNIe; by the other
// reading at once.
func TestRegistrationWithCertificate(t *testing.T) {
	t.Parallel()
	for _, reading := range []policies.Reading{policies.ReadingStrict, policies.ReadingAge} {
		t.Run(string(reading), func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t)
			r.module.Rules.Reading = reading
			receipt := r.registers(ana, anaPhone, citizen.ClassQualified)
			r.enter(r.person(ana, anaPhone), receipt.ActivationCode, password)
			c, _ := r.record()
			want := signer.Registration{Mode: "certificate", Level: "advanced", Office: "Registro", AssuredAt: c.Registration.AssuredAt, Officer: c.Registration.Officer}
			if diff := cmp.Diff(want, c.Registration); diff != "" {
				t.Errorf("registration (-want +got):\n%s", diff)
			}
			if n := r.count(`SELECT count(*) FROM registrations WHERE evidence @> '{"serial": "beef", "class": "qualified", "revocation": "ocsp"}'`); n != 1 {
				t.Errorf("got %d registrations with the certificate as evidence, want 1", n)
			}
			err := r.certifies()
			if reading == policies.ReadingAge {
				r.well("getting a certificate", err)
				return
			}
			r.wants(err, policies.RegistrationTelematic)

			_, err = r.begins(ana, citizen.ClassQualified, citizen.ProcedureRenew)
			r.wants(err, policies.DNIeRequired)
			ticket := must[signer.Ticket](t)(r.begins(ana, citizen.ClassDNIe, citizen.ProcedureRenew))
			_ = must[citizen.Receipt](t)(r.completes(ticket, citizen.ProcedureRenew))
			r.invariants()
			_, err = r.completes(ticket, citizen.ProcedureRenew)
			r.wants(err, policies.SessionExpired)
			err = r.certifies()
			r.well("getting a certificate after the DNIe", err)
			if n := r.logged("identity.proved", c.ID); n != 1 {
				t.Errorf("the log tells %d times that the identity was proved again, want once", n)
			}
		})
	}
}

// certifies asks for a certificate of Ana's own.
func (r *registry) certifies() error {
	r.Helper()
	answer, err := r.attend(signer.ForCertificate)
	if err != nil {
		return err
	}
	_, err = r.module.IssueCredential(r.Context(), answer)
	return err
}

// What the certificate door gives is worth something to one browser, for one
// procedure, once and for two minutes, and only as it was written.
func TestRedemptions(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	r.activate(eva, evaPhone)
	for name, tt := range map[string]struct {
		change func(*citizen.Redemption)
		want   policies.Code
	}{
		"another browser":   {func(d *citizen.Redemption) { d.Verifier = base64.RawURLEncoding.EncodeToString(make([]byte, 32)) }, policies.SessionExpired},
		"no verifier":       {func(d *citizen.Redemption) { d.Verifier = "" }, policies.SessionExpired},
		"another code":      {func(d *citizen.Redemption) { d.Code = base64.RawURLEncoding.EncodeToString(make([]byte, 32)) }, policies.SessionExpired},
		"another procedure": {func(d *citizen.Redemption) { d.Procedure = citizen.ProcedurePhone }, policies.SessionExpired},
		"too late":          {func(*citizen.Redemption) { r.clock.advance(2 * time.Minute) }, policies.SessionExpired},
		"once more": {func(d *citizen.Redemption) {
			_ = must[citizen.Redeemed](t)(r.enrolments.Redeem(t.Context(), *d))
		}, policies.SessionExpired},
		"another's certificate": {func(*citizen.Redemption) {
			r.sql(`UPDATE presentations SET identifier = '` + eva + `'`)
		}, policies.RecordTampered},
		"another class": {func(*citizen.Redemption) {
			r.sql(`UPDATE presentations SET facts = jsonb_set(facts, '{mode}', '"dnie"')`)
		}, policies.RecordTampered},
	} {
		d := r.shows(ana, citizen.ClassQualified, citizen.ProcedureRegister)
		tt.change(&d)
		if _, err := r.enrolments.Redeem(t.Context(), d); !errors.Is(err, policies.Refuse(tt.want)) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
		r.sql(`DELETE FROM presentations`)
	}
	r.invariants()
}

// Who shows a certificate is told how they stand, and may do what fits.
func TestWhoMayBegin(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	r.activate(ana, anaPhone)
	blocked, gone := dni(7), dni(8)
	r.activate(blocked, "600111428")
	r.well("blocking", r.register.Block(t.Context(), r.identifier(blocked), citizen.Order{By: citizen.By{Office: "office"}, Reason: "x"}))
	r.activate(gone, "600111429")
	r.well("leaving", r.register.Deregister(t.Context(), r.identifier(gone), citizen.Order{By: citizen.By{Office: "office"}, Reason: "x"}))
	for _, tt := range []struct {
		dni       string
		class     citizen.CertificateClass
		procedure citizen.Procedure
		want      policies.Code
	}{
		{ana, citizen.ClassDNIe, citizen.ProcedureRegister, policies.CitizenExists},
		{blocked, citizen.ClassDNIe, citizen.ProcedureRegister, policies.CitizenExists},
		{gone, citizen.ClassQualified, citizen.ProcedureRegister, ""},
		{eva, citizen.ClassQualified, citizen.ProcedureRegister, ""},
		{eva, citizen.ClassDNIe, citizen.ProcedureRenew, policies.CitizenUnknown},
		{gone, citizen.ClassDNIe, citizen.ProcedureRenew, policies.CitizenDeregistered},
		{blocked, citizen.ClassDNIe, citizen.ProcedurePhone, policies.CitizenBlocked},
		{ana, citizen.ClassQualified, citizen.ProcedureRenew, policies.DNIeRequired},
		{ana, citizen.ClassQualified, citizen.ProcedurePhone, ""},
		{ana, citizen.ClassQualified, citizen.ProcedureActivation, ""},
		{ana, citizen.ClassQualified, citizen.ProcedureAssociate, ""},
		{ana, citizen.ClassQualified, citizen.ProcedureAccess, policies.AssociationMissing},
		{ana, citizen.ClassDNIe, citizen.ProcedureAccess, ""},
		{eva, citizen.ClassDNIe, citizen.ProcedureAccess, policies.CitizenUnknown},
	} {
		_, err := r.begins(tt.dni, tt.class, tt.procedure)
		if tt.want == "" && err != nil || tt.want != "" && !errors.Is(err, policies.Refuse(tt.want)) {
			t.Errorf("%s with %s for %s: got %v, want %q", tt.dni, tt.class, tt.procedure, err, tt.want)
		}
	}
	r.invariants()
}

// The code of an enrolment has three tries, five minutes and a pace, and is of
// one mobile.
func TestEnrolmentCodes(t *testing.T) {
	t.Parallel()
	wrong := must[signer.Code](t)(signer.ParseCode("0000 0000"))
	r, people := newRegistry(t), 100
	try := func(r *registry, ticket signer.Ticket, code signer.Code) error {
		_, err := r.enrolments.CompleteEnrolment(r.Context(), citizen.EnrolmentAnswer{Ticket: ticket, Procedure: citizen.ProcedureRegister, Code: code})
		return err
	}
	mobile := func() string { return fmt.Sprintf("6002%05d", people) }
	for name, tt := range map[string]struct {
		act  func(r *registry, ticket signer.Ticket, code signer.Code) error
		want policies.Code
	}{
		"right": {try, ""},
		"wrong": {func(r *registry, ticket signer.Ticket, _ signer.Code) error { return try(r, ticket, wrong) }, policies.CodeWrong},
		"thrice wrong": {func(r *registry, ticket signer.Ticket, _ signer.Code) error {
			return errors.Join(try(r, ticket, wrong), try(r, ticket, wrong), try(r, ticket, wrong))
		}, policies.CodeExhausted},
		"right at the fourth": {func(r *registry, ticket signer.Ticket, code signer.Code) error {
			_ = errors.Join(try(r, ticket, wrong), try(r, ticket, wrong), try(r, ticket, wrong))
			return try(r, ticket, code)
		}, policies.CodeExhausted},
		"too late": {func(r *registry, ticket signer.Ticket, code signer.Code) error {
			r.clock.advance(5 * time.Minute)
			return try(r, ticket, code)
		}, policies.CodeExpired},
		"enrolment over": {func(r *registry, ticket signer.Ticket, code signer.Code) error {
			r.clock.advance(30 * time.Minute)
			return try(r, ticket, code)
		}, policies.SessionExpired},
		"twice": {func(r *registry, ticket signer.Ticket, code signer.Code) error {
			return errors.Join(try(r, ticket, code), try(r, ticket, code))
		}, policies.SessionExpired},
		"of another mobile": {func(r *registry, ticket signer.Ticket, code signer.Code) error {
			r.clock.advance(time.Minute)
			return errors.Join(r.asks(ticket, evaPhone), try(r, ticket, code))
		}, policies.CodeWrong},
		"another mobile in the row": {func(r *registry, ticket signer.Ticket, code signer.Code) error {
			r.sql(`UPDATE enrolments SET phone = '+34600111499' WHERE spent_at IS NULL`)
			return try(r, ticket, code)
		}, policies.RecordTampered},
		"another person in the row": {func(r *registry, ticket signer.Ticket, code signer.Code) error {
			r.sql(`UPDATE enrolments SET identifier = '` + eva + `' WHERE spent_at IS NULL`)
			return try(r, ticket, code)
		}, policies.RecordTampered},
		"another too soon": {func(r *registry, ticket signer.Ticket, _ signer.Code) error { return r.asks(ticket, mobile()) }, policies.CodeTooSoon},
		"another enrolment too soon": {func(r *registry, _ signer.Ticket, _ signer.Code) error {
			return r.asks(must[signer.Ticket](r.T)(r.begins(dni(people), citizen.ClassDNIe, citizen.ProcedureRegister)), evaPhone)
		}, policies.CodeTooSoon},
		"six in an hour": {func(r *registry, ticket signer.Ticket, _ signer.Code) error {
			var err error
			for range 5 {
				r.clock.advance(time.Minute)
				err = r.asks(ticket, mobile())
			}
			return err
		}, policies.CodeTooMany},
		"operator silent, then again at once": {func(r *registry, ticket signer.Ticket, _ signer.Code) error {
			r.clock.advance(time.Minute)
			r.postman.fails = errors.New("no answer")
			if err := r.asks(ticket, mobile()); !errors.Is(err, policies.Refuse(policies.SMSFailed)) {
				r.Errorf("got %v, want that the SMS failed", err)
			}
			r.postman.fails = nil
			return r.asks(ticket, mobile())
		}, policies.CodeTooSoon},
		"for another procedure": {func(r *registry, ticket signer.Ticket, code signer.Code) error {
			_, err := r.enrolments.CompleteEnrolment(r.Context(), citizen.EnrolmentAnswer{Ticket: ticket, Procedure: citizen.ProcedurePhone, Code: code})
			return err
		}, policies.SessionExpired},
	} {
		people++
		ticket := must[signer.Ticket](t)(r.begins(dni(people), citizen.ClassDNIe, citizen.ProcedureRegister))
		r.well("asking", r.asks(ticket, mobile()))
		phone, code := r.postman.last(t)
		if phone != "+34"+mobile() {
			t.Errorf("%s: the code went to %s, want %s", name, phone, mobile())
		}
		err := tt.act(r, ticket, code)
		if tt.want == "" && err != nil || tt.want != "" && !errors.Is(err, policies.Refuse(tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	r.invariants()
}
