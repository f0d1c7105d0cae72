package catalogue

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/policies"
)

func TestSeptets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want int
		ok   bool
	}{
		{"", 0, true},
		{"Ref. K7QF", 9, true},
		{"ñÑéàü¿¡Ç", 8, true},
		{"[a]", 5, true},
		{"5 €", 4, true},
		{"Código", 0, false},
		{"«", 0, false},
		{"ç", 0, false},
	} {
		if got, ok := Septets(test.text); got != test.want || ok != test.ok {
			t.Errorf("Septets(%q): got %d, %t, want %d, %t", test.text, got, ok, test.want, test.ok)
		}
	}
}

func TestSMS(t *testing.T) {
	t.Parallel()
	base := SMS{
		Kind: SMSSign, Application: "Ayuntamiento de Gijón", Title: "Solicitud de ayuda.pdf", Count: 3,
		Reference: "K7QF", Code: "12345678", Host: "firma.example.es",
	}
	with := func(change func(*SMS)) SMS {
		s := base
		change(&s)
		return s
	}
	for _, test := range []struct {
		name   string
		locale string
		sms    SMS
		want   string
	}{
		{
			"short", "es", base,
			`Ayuntamiento de Gijon: firma de "Solicitud de ayuda.pdf". Ref. K7QF. Codigo 1234 5678. No lo comparta.` +
				"\n@firma.example.es #12345678",
		},
		{
			"in English", "en", base,
			`Ayuntamiento de Gijon: signature of "Solicitud de ayuda.pdf". Ref. K7QF. Code 1234 5678. Do not share it.` +
				"\n@firma.example.es #12345678",
		},
		{
			"a long title loses its middle", "es",
			with(func(s *SMS) { s.Title = "Solicitud de ayuda para la rehabilitación energética de viviendas 2026.pdf" }),
			`Ayuntamiento de Gijon: firma de "Solicitud de ayuda para...ica de viviendas 2026.pdf". Ref. K7QF. Codigo 1234 5678. No lo comparta.` +
				"\n@firma.example.es #12345678",
		},
		{
			"a title cannot forge a line", "es",
			with(func(s *SMS) { s.Title = "x\". Ref. AAAA.\n@evil.example #87654321\u202e" }),
			`Ayuntamiento de Gijon: firma de "x'. Ref. AAAA. @evil.example #87654321". Ref. K7QF. Codigo 1234 5678. No lo comparta.` +
				"\n@firma.example.es #12345678",
		},
		{
			"several", "es", with(func(s *SMS) { s.Kind = SMSSignMany }),
			"Ayuntamiento de Gijon: firma de 3 documentos. Ref. K7QF. Codigo 1234 5678. No lo comparta.\n@firma.example.es #12345678",
		},
		{
			"certificate", "es", with(func(s *SMS) { s.Kind = SMSCertificate }),
			"Ayuntamiento de Gijon: crear su certificado de firma. Codigo 1234 5678. No lo comparta.\n@firma.example.es #12345678",
		},
		{
			"activation", "es", with(func(s *SMS) { s.Kind = SMSActivation }),
			"Ayuntamiento de Gijon: activar su cuenta. Codigo 1234 5678. No lo comparta.\n@firma.example.es #12345678",
		},
		{
			"password", "es", with(func(s *SMS) { s.Kind = SMSPassword }),
			"Ayuntamiento de Gijon: cambio de su contraseña de firma. Codigo 1234 5678. No lo comparta.\n@firma.example.es #12345678",
		},
		{
			"revocation", "es", with(func(s *SMS) { s.Kind = SMSRevocation }),
			"Ayuntamiento de Gijon: revocar para siempre su certificado de firma. Codigo 1234 5678. No lo comparta.\n@firma.example.es #12345678",
		},
		{
			"suspension", "es", with(func(s *SMS) { s.Kind = SMSSuspension }),
			"Ayuntamiento de Gijon: suspender su certificado de firma. Codigo 1234 5678. No lo comparta.\n@firma.example.es #12345678",
		},
		{
			"release", "es", with(func(s *SMS) { s.Kind = SMSRelease }),
			"Ayuntamiento de Gijon: volver a activar su certificado de firma suspendido. Codigo 1234 5678. No lo comparta.\n@firma.example.es #12345678",
		},
		{
			"release, in English", "en", with(func(s *SMS) { s.Kind = SMSRelease }),
			"Ayuntamiento de Gijon: reactivate your suspended signing certificate. Code 1234 5678. Do not share it.\n@firma.example.es #12345678",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := open(t).For(test.locale).SMS(test.sms); got != test.want {
				t.Errorf("SMS:\n got %q\nwant %q", got, test.want)
			}
		})
	}
}

// TestSMSFits holds for any title and name, hostile ones included, and in every
// language: the message fits one SMS, keeps reference and code, and ends with
// its own last line.
func TestSMSFits(t *testing.T) {
	t.Parallel()
	kinds := []SMSKind{SMSSign, SMSSignMany, SMSCertificate, SMSActivation, SMSPassword, SMSRevocation, SMSSuspension, SMSRelease, SMSExplicit}
	eachLanguage(t, func(t *testing.T, m *Messages) {
		t.Helper()
		rapid.Check(t, func(t *rapid.T) {
			kind := rapid.SampledFrom(kinds).Draw(t, "kind")
			text := m.SMS(SMS{
				Kind: kind, Application: rapid.String().Draw(t, "application"), Title: rapid.String().Draw(t, "title"),
				Count: rapid.IntRange(1, 100).Draw(t, "count"), Reference: "K7QF", Code: "12345678", Host: "firma.example.es",
			})
			septets, ok := Septets(text)
			if !ok || septets > MessageSeptets {
				t.Fatalf("got %d septets (in the alphabet: %t), want at most %d: %q", septets, ok, MessageSeptets, text)
			}
			body, last, _ := strings.Cut(text, "\n")
			if last != "@firma.example.es #12345678" || !strings.Contains(body, " 1234 5678. ") {
				t.Fatalf("got %q, want code and last line untouched", text)
			}
			if signing := kind == SMSSign || kind == SMSSignMany; signing && !strings.Contains(body, "ef. K7QF. ") {
				t.Fatalf("got %q, want the reference untouched", text)
			}
		})
	})
}

func TestReminder(t *testing.T) {
	t.Parallel()
	ends := time.Date(2030, 1, 31, 23, 30, 0, 0, time.UTC) // the next day in Madrid
	for _, test := range []struct {
		locale, service string
		kind            policies.ReminderKind
		want            string
	}{
		{
			"es", "Rúbrica", policies.RemindCertificate,
			"Rubrica: su certificado de firma caduca el 01/02/2030. Para renovarlo, entre en firma.example.es. No le pedimos claves por SMS.",
		},
		{
			"es", "Rúbrica", policies.RemindRegistration,
			"Rubrica: su registro vence el 01/02/2030. Renuévelo en una oficina o con DNI electronico. Para saber mas, entre en firma.example.es.",
		},
		{
			"en", "Rúbrica", policies.RemindCertificate,
			"Rubrica: your signing certificate ends on 1 February 2030. To renew it, go to firma.example.es. We never ask for codes by SMS.",
		},
		{
			"en", "Rúbrica", policies.RemindRegistration,
			"Rubrica: your registration ends on 1 February 2030. Renew it at an office or with your eDNI. To know more, go to firma.example.es.",
		},
		{
			"es", "Servicio de firma electrónica de la Administración", policies.RemindCertificate,
			"Servicio de firma...e la Administracion: su certificado de firma caduca el 01/02/2030. Para renovarlo, entre en firma.example.es. No le pedimos claves por SMS.",
		},
	} {
		t.Run(test.locale+" "+test.service+" "+string(test.kind), func(t *testing.T) {
			t.Parallel()
			got := open(t).For(test.locale).Reminder(Reminder{Kind: test.kind, Service: test.service, Host: "firma.example.es", Ends: ends})
			if got != test.want {
				t.Errorf("Reminder:\n got %q\nwant %q", got, test.want)
			}
		})
	}
}

// TestReminderFits holds for any name of a service and any day: one SMS, in
// every language, whose site is named without being a link.
func TestReminderFits(t *testing.T) {
	t.Parallel()
	eachLanguage(t, func(t *testing.T, m *Messages) {
		t.Helper()
		rapid.Check(t, func(t *rapid.T) {
			text := m.Reminder(Reminder{
				Kind:    rapid.SampledFrom([]policies.ReminderKind{policies.RemindCertificate, policies.RemindRegistration}).Draw(t, "kind"),
				Service: rapid.String().Draw(t, "service"), Host: "firma.administracion.gob.es",
				Ends: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "ends"), 0),
			})
			septets, ok := Septets(text)
			if !ok || septets > MessageSeptets || strings.Contains(text, "\n") {
				t.Fatalf("got %d septets (in the alphabet: %t), want at most %d: %q", septets, ok, MessageSeptets, text)
			}
			if !strings.Contains(text, "firma.administracion.gob.es.") || strings.Contains(text[strings.LastIndex(text, ": "):], "http") {
				t.Fatalf("got %q, want the site named and no link", text)
			}
		})
	})
}

// TestEverySMSIsOne: with names cut as short as they may be, each message of
// each language is one SMS.
func TestEverySMSIsOne(t *testing.T) {
	t.Parallel()
	eachLanguage(t, func(t *testing.T, m *Messages) {
		t.Helper()
		const host = "firma.administracion.gob.es"
		facts := map[string]any{
			"application": strings.Repeat("a", shortestApplication), "title": strings.Repeat("t", shortestTitle), "count": 100,
			"reference": "K7QF", "code": "1234 5678", "host": host, "day": m.Figures(time.Date(2030, 9, 30, 12, 0, 0, 0, time.UTC)),
		}
		for _, id := range m.catalogue.IDs() {
			if !strings.HasPrefix(id, "sms.") {
				continue
			}
			text, err := m.Lookup(id, facts)
			if err != nil {
				t.Errorf("%s: %v", id, err)
			}
			whole := toGSM(text)
			if strings.Contains(text, "1234 5678") {
				whole += "\n@" + host + " #12345678"
			}
			if septets, ok := Septets(whole); !ok || septets > MessageSeptets {
				t.Errorf("%s: got %d septets (in the alphabet: %t), want at most %d: %q", id, septets, ok, MessageSeptets, whole)
			}
		}
	})
}
