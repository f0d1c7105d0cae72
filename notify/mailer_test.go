package notify_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rubrica-firma/rubrica/internal/dev/inbox"
	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// records know one citizen, with or without a certificate, and one request.
type records struct {
	citizen     signer.Citizen
	certificate *signer.Certificate
	request     signer.Request
}

func (r *records) Request(_ context.Context, id string) (signer.Request, error) {
	if id != r.request.ID {
		return signer.Request{}, policies.Refuse(policies.RequestUnknown)
	}
	return r.request, nil
}

func (r *records) Recipient(_ context.Context, id string) (signer.Citizen, *signer.Certificate, error) {
	if id != r.citizen.ID {
		return signer.Citizen{}, nil, policies.Refuse(policies.CitizenUnknown)
	}
	return r.citizen, r.certificate, nil
}

// noon is 12:00 in Madrid.
var noon = time.Date(2026, 3, 10, 11, 0, 0, 0, time.UTC)

func maria() *records {
	return &records{
		citizen:     signer.Citizen{ID: "maria", GivenName: "María", Email: "maria@example.es", Locale: "es"},
		certificate: &signer.Certificate{Serial: "0badcafe", NotAfter: noon.AddDate(2, 0, 0)},
		request: signer.Request{
			ID: "request", Title: "Solicitud de ayuda", ClosedAt: noon,
			Application: signer.Application{Organisation: "Ayuntamiento de Gijón"},
			Documents:   []signer.Document{{Ordinal: 1, Format: signer.CAdESDetached, Digest: make([]byte, 32), SigningTime: noon}},
		},
	}
}

// newMailer makes a mailer before a mail server.
func newMailer(t *testing.T, r *records) (*inbox.Box, *notify.Mailer) {
	t.Helper()
	box := inbox.New(token)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.ServeSMTP(t.Context(), l))
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("got address %v, want one of TCP", l.Addr())
	}
	return box, &notify.Mailer{
		Catalogue: sentences(t), Records: r, Service: "Rúbrica", PublicURL: "https://firma.example.es",
		SMTP:  notify.SMTP{Host: "127.0.0.1", Port: address.Port, From: "firma@example.es", Plain: true},
		Rules: policies.DefaultRules(),
		Now:   func() time.Time { return noon },
	}
}

func TestMailer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind, locale string
		subject      string
		tells        []string
	}{
		{
			"activated", "es", "Su cuenta de firma está activada",
			[]string{"Hola, María:", "Su cuenta en Rúbrica se activó el 10 de marzo de 2026 a las 12:00 (hora peninsular)", "https://firma.example.es"},
		},
		{
			"certificate_issued", "es", "Se ha creado su certificado de firma",
			[]string{"Hola, María:", "Vale hasta el 10 de marzo de 2028", "Número de serie: 0badcafe"},
		},
		{
			"document_signed", "es", "Ha firmado «Solicitud de ayuda»",
			[]string{"El 10 de marzo de 2026 a las 12:00 (hora peninsular) firmó «Solicitud de ayuda»", "a petición de Ayuntamiento de Gijón.", "Referencia: " + maria().request.Reference()},
		},
		{"document_signed", "en", `You signed "Solicitud de ayuda"`, []string{"Ayuntamiento de Gijón", maria().request.Reference()}},
		{
			"password_changed", "es", "Se ha cambiado su contraseña de firma",
			[]string{"se cambió el 10 de marzo de 2026 a las 12:00 (hora peninsular)", "Su certificado de firma sigue siendo el mismo.", "Si no ha sido usted,", "para bloquear la cuenta"},
		},
		{
			"certificate_revoked", "es", "Su certificado de firma se ha revocado",
			[]string{"quedó revocado el 10 de marzo de 2026", "Lo que firmó antes conserva su validez.", "Si no ha sido usted,", "https://firma.example.es"},
		},
		{
			"citizen_blocked", "es", "Su cuenta de firma está bloqueada",
			[]string{"quedó bloqueada el 10 de marzo de 2026", "Para desbloquearla"},
		},
		{
			"citizen_deregistered", "es", "Su cuenta de firma está dada de baja",
			[]string{"se dio de baja el 10 de marzo de 2026", "Lo que firmó antes conserva su validez.", "Si no ha sido usted,"},
		},
		{
			"certificate_renewed", "es", "Se ha renovado su certificado de firma",
			[]string{"Vale hasta el 10 de marzo de 2028", "Número de serie: 0badcafe", "La clave anterior se ha destruido."},
		},
		{
			"certificate_suspended", "es", "Su certificado de firma está suspendido",
			[]string{"quedó suspendido el 10 de marzo de 2026 a las 12:00 (hora peninsular)", "https://firma.example.es/certificado", "Si no ha sido usted,"},
		},
		{
			"certificate_released", "es", "Su certificado de firma vuelve a estar en vigor",
			[]string{"El 10 de marzo de 2026 a las 12:00 (hora peninsular) se levantó", "https://firma.example.es/certificado", "Si no ha sido usted,"},
		},
		{"password_changed", "en", "Your signing password has been changed", []string{"Dear María,", "If this was not you,"}},
	} {
		t.Run(test.kind+" "+test.locale, func(t *testing.T) {
			t.Parallel()
			r := maria()
			r.citizen.Locale = test.locale
			if test.kind == "certificate_revoked" {
				r.certificate = nil // its credential is destroyed by now
			}
			box, mailer := newMailer(t, r)
			if err := mailer.Deliver(t.Context(), signer.Notice{Kind: test.kind, CitizenID: "maria", RequestID: "request"}); err != nil {
				t.Fatalf("Deliver: %v", err)
			}
			got := box.Find("")
			want := []inbox.Message{{Kind: "mail", To: "maria@example.es", From: "firma@example.es", Subject: test.subject}}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(inbox.Message{}, "ID", "At", "Text")); diff != "" {
				t.Fatalf("mail differs (-want +got):\n%s", diff)
			}
			for _, wanted := range test.tells {
				if !strings.Contains(got[0].Text, wanted) {
					t.Errorf("got a letter without %q:\n%s", wanted, got[0].Text)
				}
			}
		})
	}
}

// TestMailerSendsNothing rather than a letter with a hole in it.
func TestMailerSendsNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		notice signer.Notice
		change func(*records, *notify.Mailer)
		want   error // nil: any
	}{
		"unknown kind":    {notice: signer.Notice{Kind: "other", CitizenID: "maria"}},
		"unknown citizen": {notice: signer.Notice{Kind: "activated", CitizenID: "other"}, want: policies.Refuse(policies.CitizenUnknown)},
		"unknown request": {
			notice: signer.Notice{Kind: "document_signed", CitizenID: "maria", RequestID: "other"},
			want:   policies.Refuse(policies.RequestUnknown),
		},
		"no renewed certificate": {
			notice: signer.Notice{Kind: "certificate_renewed", CitizenID: "maria"},
			change: func(r *records, _ *notify.Mailer) { r.certificate = nil },
		},
		"no certificate": {
			notice: signer.Notice{Kind: "certificate_issued", CitizenID: "maria"},
			change: func(r *records, _ *notify.Mailer) { r.certificate = nil },
		},
		"an address with a header": {
			notice: signer.Notice{Kind: "activated", CitizenID: "maria"},
			change: func(r *records, _ *notify.Mailer) { r.citizen.Email = "maria@example.es\r\nBcc: eve@example.es" },
		},
		"two addresses": {
			notice: signer.Notice{Kind: "activated", CitizenID: "maria"},
			change: func(r *records, _ *notify.Mailer) { r.citizen.Email = "maria@example.es, eve@example.es" },
		},
		"a server without TLS": {
			notice: signer.Notice{Kind: "activated", CitizenID: "maria"},
			change: func(_ *records, m *notify.Mailer) { m.SMTP.Plain = false },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := maria()
			box, mailer := newMailer(t, r)
			if test.change != nil {
				test.change(r, mailer)
			}
			err := mailer.Deliver(t.Context(), test.notice)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Deliver: got %v, want an error (%v)", err, test.want)
			}
			if got := box.Find(""); len(got) != 0 {
				t.Errorf("got letters %v, want none", got)
			}
		})
	}
}

// TestMailerInjection has names that try to be headers, or a body of their own.
func TestMailerInjection(t *testing.T) {
	t.Parallel()
	const hostile = "x\r\nBcc: eve@example.es\r\nSubject: otro\r\n\r\n.\r\nMAIL FROM:<eve@example.es>\r\n"
	r := maria()
	r.citizen.GivenName, r.request.Title, r.request.Application.Organisation = hostile, hostile, hostile
	box, mailer := newMailer(t, r)
	if err := mailer.Deliver(t.Context(), signer.Notice{Kind: "document_signed", CitizenID: "maria", RequestID: "request"}); err != nil {
		t.Fatalf("Deliver: %v", err)
	}
	got := box.Find("")
	if len(got) != 1 || got[0].To != "maria@example.es" {
		t.Fatalf("got letters %v, want one to maria@example.es", got)
	}
	const flat = "x Bcc: eve@example.es Subject: otro . MAIL FROM:<eve@example.es>"
	if want := "Ha firmado «" + flat + "»"; got[0].Subject != want {
		t.Errorf("got subject %q, want %q", got[0].Subject, want)
	}
	if !strings.HasPrefix(got[0].Text, "Hola, "+flat+":\n") {
		t.Errorf("got a letter that a name has broken:\n%s", got[0].Text)
	}
}
