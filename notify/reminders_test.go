package notify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
)

// reminded is María with a certificate in its last month and a registration in
// its last year.
func reminded() *records {
	r := maria()
	r.citizen.Status = signer.Active
	r.citizen.DocumentUntil = noon.AddDate(1, 0, 0)
	r.citizen.Registration = signer.Registration{Mode: "office", Level: "advanced", AssuredAt: noon.AddDate(-4, 0, 0)}
	r.certificate.NotAfter = noon.AddDate(0, 0, 20)
	return r
}

// Each reminder tells what ends when, and what to do first.
func TestMailerReminds(t *testing.T) {
	t.Parallel()
	aging := func(r *records) { r.citizen.Registration.AssuredAt = noon.AddDate(-5, 0, 20) }
	for _, test := range []struct {
		name, kind, locale string
		change             func(*records)
		subject            string // empty: no letter is sent
		tells              []string
	}{
		{
			"can be renewed", "certificate_expires", "es", nil, "Su certificado de firma caduca el 30 de marzo de 2026",
			[]string{"vale hasta el 30 de marzo de 2026 a las 13:00 (hora peninsular)", "renuévelo antes en https://firma.example.es/certificado, o la próxima vez que firme"},
		},
		{
			"in English", "certificate_expires", "en", nil, "Your signing certificate ends on 30 March 2026",
			[]string{"renew it before then at https://firma.example.es/certificado, or the next time you sign"},
		},
		{
			"registration too old", "certificate_expires", "es", func(r *records) { r.citizen.Registration.AssuredAt = noon.AddDate(-6, 0, 0) },
			"Su certificado de firma caduca el 30 de marzo de 2026",
			[]string{
				"pero ahora no es posible:", "Antes tiene que renovar su registro. Su identidad se comprobó por última vez el 10 de marzo de 2020",
				"Renueve su registro en una oficina, o por internet con su DNI electrónico.", "Cuando lo haya hecho, renueve el certificado en https://firma.example.es/certificado",
			},
		},
		{
			"registration ends with the certificate", "certificate_expires", "es", aging, "Su certificado de firma caduca el 30 de marzo de 2026",
			[]string{"Un certificado nuevo no duraría más que el que tiene: vale como mucho hasta el 30 de marzo de 2026, cuando se cumplen 5 años"},
		},
		{
			"suspended", "certificate_expires", "es", func(r *records) { r.certificate.RevokedAt, r.certificate.Reason = noon, 6 },
			"Su certificado de firma caduca el 30 de marzo de 2026",
			[]string{"Su certificado de firma está suspendido.", "Levante la suspensión"},
		},
		{
			"registration", "registration_ages", "es", aging, "Su registro vence el 30 de marzo de 2026",
			[]string{
				"por última vez el 30 de marzo de 2021. Desde el 30 de marzo de 2026 a las 13:00 (hora peninsular)", "podrá usarlo hasta que caduque", "El registro no se renueva solo",
				"- En cualquier oficina de registro", "- Por internet, con su DNI electrónico. Con otros certificados no se puede.",
			},
		},
		{"revoked meanwhile", "certificate_expires", "es", func(r *records) { r.certificate.RevokedAt, r.certificate.Reason = noon, 1 }, "", nil},
		{"renewed meanwhile", "certificate_expires", "es", func(r *records) { r.certificate.NotAfter = noon.AddDate(4, 0, 0) }, "", nil},
		{"expired meanwhile", "certificate_expires", "es", func(r *records) { r.certificate.NotAfter = noon.Add(-time.Second) }, "", nil},
		{"destroyed meanwhile", "certificate_expires", "es", func(r *records) { r.certificate = nil }, "", nil},
		{"blocked meanwhile", "certificate_expires", "es", func(r *records) { r.citizen.Status = signer.Blocked }, "", nil},
		{"gone meanwhile", "registration_ages", "es", func(r *records) { aging(r); r.citizen.Status = signer.Deregistered }, "", nil},
		{"registration renewed meanwhile", "registration_ages", "es", func(r *records) { r.citizen.Registration.AssuredAt = noon }, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := reminded()
			r.citizen.Locale = test.locale
			if test.change != nil {
				test.change(r)
			}
			notice := signer.Notice{Kind: test.kind, CitizenID: "maria", Days: 30, Ends: noon.AddDate(0, 0, 20)}
			box, mailer := newMailer(t, r)
			if err := mailer.Deliver(t.Context(), notice); err != nil {
				t.Fatalf("Deliver: %v", err)
			}
			got := box.Find("")
			if test.subject == "" {
				if len(got) != 0 {
					t.Errorf("got letters %v, want none", got)
				}
				return
			}
			if len(got) != 1 || got[0].Subject != test.subject {
				t.Fatalf("got letters %v, want one with subject %q", got, test.subject)
			}
			for _, wanted := range test.tells {
				if !strings.Contains(got[0].Text, wanted) {
					t.Errorf("got a letter without %q:\n%s", wanted, got[0].Text)
				}
			}
		})
	}
}
