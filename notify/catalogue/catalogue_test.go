package catalogue

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nicksnyder/go-i18n/v2/i18n"

	"github.com/rubrica-firma/rubrica/policies"
)

func open(t *testing.T) *Catalogue {
	t.Helper()
	c, err := New()
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return c
}

// eachLanguage runs a test in every language that the catalogue speaks.
func eachLanguage(t *testing.T, test func(t *testing.T, m *Messages)) {
	t.Helper()
	c := open(t)
	for _, l := range c.Languages() {
		t.Run(l.Tag, func(t *testing.T) {
			t.Parallel()
			test(t, c.For(l.Tag))
		})
	}
}

func TestLanguagesAreOffered(t *testing.T) {
	t.Parallel()
	want := []Language{
		{"es", "Español"}, {"ca", "Català"}, {"ca-valencia", "Valencià"}, {"gl", "Galego"}, {"eu", "Euskara"}, {"en", "English"},
	}
	if diff := cmp.Diff(want, open(t).Languages()); diff != "" {
		t.Errorf("languages (-want +got):\n%s", diff)
	}
}

func TestForChoosesTheLanguage(t *testing.T) {
	t.Parallel()
	c := open(t)
	for _, test := range []struct {
		name   string
		wanted []string
		want   string
	}{
		{"nothing wanted", nil, "es"},
		{"a tag", []string{"en"}, "en"},
		{"a region", []string{"en-IE"}, "en"},
		{"Catalan", []string{"ca-ES,ca;q=0.9,es;q=0.8"}, "ca"},
		{"Catalan of elsewhere", []string{"ca-AD"}, "ca"},
		{"Valencian", []string{"ca-valencia"}, "ca-valencia"},
		{"Valencian, as browsers ask for it", []string{"ca-ES-valencia,ca;q=0.9,es;q=0.8"}, "ca-valencia"},
		{"Valencian, in other letters", []string{"CA-Valencia"}, "ca-valencia"},
		{"Valencian less than Catalan", []string{"ca,ca-valencia;q=0.5"}, "ca"},
		{"a variety that nobody speaks", []string{"ca-fonipa,es;q=0.5"}, "ca"},
		{"Galician", []string{"gl-ES,gl;q=0.9"}, "gl"},
		{"Basque", []string{"eu"}, "eu"},
		{"Accept-Language by weight", []string{"es;q=0.3, en;q=0.8"}, "en"},
		{"Accept-Language passes over the unknown", []string{"ja, en;q=0.5"}, "en"},
		{"the cookie before the header", []string{"", "es", "en;q=0.9"}, "es"},
		{"an unknown language", []string{"ja"}, "es"},
		{"nonsense", []string{";;;=", "%00"}, "es"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := c.For(test.wanted...).Locale(); got != test.want {
				t.Errorf("For(%q): got %s, want %s", test.wanted, got, test.want)
			}
		})
	}
}

func TestTextShowsWhatItCannotSay(t *testing.T) {
	t.Parallel()
	m := open(t).For("es")
	if got := m.Text("no.such.message", nil); got != "no.such.message" {
		t.Errorf("Text of an unknown message: got %q, want its identifier", got)
	}
	if _, err := m.Lookup("no.such.message", nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("Lookup of an unknown message: got %v, want ErrUnknown", err)
	}
	if _, err := m.Lookup("time.seconds", nil); !errors.Is(err, ErrParams) {
		t.Errorf("Lookup without its count: got %v, want ErrParams", err)
	}
	if _, err := m.Lookup("time.seconds", map[string]any{"number": "few"}); !errors.Is(err, ErrParams) {
		t.Errorf("Lookup with a count in words: got %v, want ErrParams", err)
	}
}

// TestTranslationMayLag proves the mechanism for languages to come: what a
// translation lacks reads in the source language.
func TestTranslationMayLag(t *testing.T) {
	t.Parallel()
	c := open(t)
	if err := c.bundles[source].AddMessages(source, &i18n.Message{ID: "newest", Other: "{{.count}} novedades"}); err != nil {
		t.Fatalf("adding a message: %v", err)
	}
	c.messages[source]["newest"] = sentence{params: []string{"count"}}
	if got, want := c.For("en").Text("newest", map[string]any{"count": 3}), "3 novedades"; got != want {
		t.Errorf("message not yet translated: got %q, want %q", got, want)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	moment := time.Date(2026, 11, 21, 9, 43, 7, 0, time.UTC)
	c := open(t)
	canaries, err := time.LoadLocation("Atlantic/Canary")
	if err != nil {
		t.Fatalf("loading the zone: %v", err)
	}
	for _, test := range []struct{ name, got, want string }{
		{"moment", c.For("es").Moment(moment), "21 de noviembre de 2026 a las 10:43 (hora peninsular)"},
		{"moment in summer", c.For("es").Moment(moment.AddDate(0, -4, 0)), "21 de julio de 2026 a las 11:43 (hora peninsular)"},
		{"moment on the islands", c.For("es").In(canaries).Moment(moment), "21 de noviembre de 2026 a las 09:43 (hora canaria)"},
		{"moment elsewhere", c.For("es").In(time.UTC).Moment(moment), "21 de noviembre de 2026 a las 09:43 (UTC)"},
		{"moment in English", c.For("en").Moment(moment), "21 November 2026 at 10:43 (mainland Spain time)"},
		{"moment in Catalan", c.For("ca").Moment(moment), "21 de novembre de 2026 a les 10:43 (hora peninsular)"},
		{"moment in Valencian", c.For("ca-valencia").Moment(moment), "21 de novembre de 2026 a les 10:43 (hora peninsular)"},
		{"moment in Galician", c.For("gl").Moment(moment), "21 de novembro de 2026 ás 10:43 (hora peninsular)"},
		{"moment in Basque", c.For("eu").Moment(moment), "2026ko azaroaren 21a, 10:43 (penintsulako ordua)"},
		{"a month with a vowel", c.For("ca").Day(time.Date(2027, 4, 1, 12, 0, 0, 0, time.UTC)), "1 d'abril de 2027"},
		{"eleventh day and fifth year in Basque", c.For("eu").Day(time.Date(2025, 1, 11, 12, 0, 0, 0, time.UTC)), "2025eko urtarrilaren 11"},
		{"twenty-first year in Basque", c.For("eu").Day(time.Date(2021, 5, 31, 12, 0, 0, 0, time.UTC)), "2021eko maiatzaren 31"},
		{"eleventh year in Basque", c.For("eu").Day(time.Date(2031, 6, 1, 12, 0, 0, 0, time.UTC)), "2031ko ekainaren 1a"},
		{"thirtieth year in Basque", c.For("eu").Day(time.Date(2030, 12, 10, 12, 0, 0, 0, time.UTC)), "2030eko abenduaren 10a"},
		{"day in figures", c.For("es").Figures(moment), "21/11/2026"},
		{"day in figures in Basque", c.For("eu").Figures(moment), "2026/11/21"},
		{"both in Basque", c.For("eu").Duration(4*time.Minute + time.Second), "4 minutu eta segundo 1"},
		{"clock", c.For("es").Clock(moment), "10:43 (hora peninsular)"},
		{"nothing left", c.For("es").Duration(-time.Second), "0 segundos"},
		{"one second", c.For("es").Duration(time.Second), "1 segundo"},
		{"rounded up", c.For("es").Duration(1100 * time.Millisecond), "2 segundos"},
		{"minutes", c.For("es").Duration(5 * time.Minute), "5 minutos"},
		{"both", c.For("es").Duration(4*time.Minute + 31*time.Second), "4 minutos y 31 segundos"},
		{"hours", c.For("en").Duration(61 * time.Minute), "1 hour and 1 minute"},
		{"bytes", c.For("es").Size(999), "999 bytes"},
		{"kilobytes", c.For("es").Size(212_400), "212 KB"},
		{"megabytes", c.For("es").Size(1_240_000), "1,2 MB"},
		{"megabytes in Valencian", c.For("ca-valencia").Size(1_240_000), "1,2 MB"},
		{"megabytes in Basque", c.For("eu").Size(1_240_000), "1,2 MB"},
		{"megabytes in English", c.For("en").Size(1_240_000), "1.2 MB"},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, test.got, test.want)
		}
	}
}

// everyFact holds all parameters of the table in the package comment.
func everyFact() map[string]string {
	return map[string]string{
		"tries": "2", "seconds": "30", "minutes": "15", "limit": "20 MB", "since": "2019-03-04", "from": "2026-09-22",
		"until": "2026-11-21T10:43:00+01:00", "years": "5", "minimum": "8", "maximum": "128", "long": "16", "field": "documents",
		"state": "signed", "scope": "sign", "method": "PUT", "reference": "7F3A-91C0",
	}
}

func TestEveryRefusalReadsWell(t *testing.T) {
	t.Parallel()
	unfilled := regexp.MustCompile(`{{|}}|<no value>|refusal\.[a-z]|time\.[a-z]|\d{4}-\d{2}-\d{2}`)
	eachLanguage(t, func(t *testing.T, m *Messages) {
		t.Helper()
		for _, code := range policies.Codes() {
			for name, params := range map[string]map[string]string{"bare": nil, "with facts": everyFact()} {
				text := m.Refusal(&policies.Refusal{Code: code, Params: params})
				for part, sentence := range map[string]string{"title": text.Title, "detail": text.Detail, "remedy": text.Remedy} {
					if sentence == "" || unfilled.MatchString(sentence) {
						t.Errorf("%s of %s, %s: got %q, want a finished sentence", part, code, name, sentence)
					}
				}
				if strings.HasSuffix(text.Title, ".") || !strings.HasSuffix(text.Detail, ".") || !strings.HasSuffix(text.Remedy, ".") {
					t.Errorf("%s, %s: got %+v, want a title without and sentences with a full stop", code, name, text)
				}
			}
		}
	})
}

func TestRefusalTellsItsFacts(t *testing.T) {
	t.Parallel()
	m := open(t).For("es")
	for _, test := range []struct {
		name    string
		refusal *policies.Refusal
		want    RefusalText
	}{
		{
			"several tries", policies.Refuse(policies.CodeWrong, "tries", "2", "seconds", "30"),
			RefusalText{"El código no coincide", "El código no coincide. Le quedan 2 intentos.", "Puede pedir otro dentro de 30 segundos."},
		},
		{
			"the last try", policies.Refuse(policies.CodeWrong, "tries", "1", "seconds", "1"),
			RefusalText{"El código no coincide", "El código no coincide. Le queda 1 intento.", "Puede pedir otro dentro de 1 segundo."},
		},
		{
			"nothing to count", policies.Refuse(policies.CodeWrong, "tries", "0", "seconds", "0"),
			RefusalText{"El código no coincide", "El código no coincide.", "Compruebe las 8 cifras del último SMS, o pida otro código."},
		},
		{
			"a reason with a sentence of its own", policies.Refuse(policies.PasswordWeak, "reason", "short", "minimum", "8"),
			RefusalText{
				"Elija una contraseña más segura", "La contraseña es demasiado corta: necesita al menos 8 caracteres.",
				"Elija otra que cumpla las reglas. Tres o cuatro palabras sueltas son fáciles de recordar y difíciles de adivinar.",
			},
		},
		{
			"a reason without the fact that its sentence needs", policies.Refuse(policies.PasswordWeak, "reason", "short"),
			RefusalText{
				"Elija una contraseña más segura", "La contraseña no cumple alguna de las reglas que aparecen junto a ella.",
				"Elija otra que cumpla las reglas. Tres o cuatro palabras sueltas son fáciles de recordar y difíciles de adivinar.",
			},
		},
		{
			"RetryAfter stands in", policies.Refuse(policies.RateLimited).After(90 * time.Second),
			RefusalText{
				"Demasiadas peticiones seguidas",
				"Ha hecho muchas peticiones en poco tiempo. Limitamos su número para proteger a todas las personas.",
				"Espere 1 minuto y 30 segundos y vuelva a intentarlo.",
			},
		},
		{
			"a pause", policies.Refuse(policies.PasswordPaused).After(15 * time.Minute),
			RefusalText{
				"Espere antes de volver a intentarlo",
				"Con este DNI o NIE se ha escrito mal la contraseña demasiadas veces seguidas. No hay nada bloqueado: solo hay que esperar.",
				"Vuelva a intentarlo dentro de 15 minutos. Si no ha sido usted, no tiene que hacer nada: la espera es lo que impide adivinar la contraseña.",
			},
		},
		{
			"an old password", policies.Refuse(policies.PasswordExpired, "years", "2"),
			RefusalText{
				"Tiene que cambiar su contraseña", "Su contraseña es correcta, pero la eligió hace más de 2 años.",
				"Cámbiela ahora: lleva dos minutos y conserva su certificado. Después podrá seguir.",
			},
		},
		{
			"an office's order of yesterday", policies.Refuse(policies.OfficeActInvalid, "reason", "time"),
			RefusalText{
				"No se acepta la orden de la oficina",
				"La orden no es de este momento: se firmó hace demasiado tiempo, o el reloj del equipo no está en hora.",
				"Compruebe la clave y la hora del equipo de la oficina, y firme una orden nueva.",
			},
		},
		{
			"a day", policies.Refuse(policies.CertificateExpired, "since", "2026-03-04"),
			RefusalText{
				"Su certificado de firma ha caducado", "Su certificado de firma caducó el 4 de marzo de 2026.",
				"Puede crear uno nuevo ahora mismo, gratis, con un código que le enviaremos por SMS.",
			},
		},
		{
			"two days", policies.Refuse(policies.RenewalTooEarly, "from", "2029-07-12", "until", "2029-09-10"),
			RefusalText{
				"Todavía no puede renovar su certificado",
				"Su certificado de firma vale hasta el 10 de septiembre de 2029, y se puede renovar desde el 12 de julio de 2029.",
				"No tiene que hacer nada: le avisaremos cuando pueda renovarlo. Mientras tanto, firme con el que tiene.",
			},
		},
		{
			"a code of tomorrow", policies.Refuse("from_the_future"),
			RefusalText{
				"Algo ha fallado por nuestra parte", "El fallo ya ha quedado anotado.",
				"Vuelva a intentarlo. Si se repite, póngase en contacto con el servicio de ayuda.",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, m.Refusal(test.refusal)); diff != "" {
				t.Errorf("Refusal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryFindingHasItsWords(t *testing.T) {
	t.Parallel()
	eachLanguage(t, func(t *testing.T, m *Messages) {
		t.Helper()
		general := m.Refusal(policies.Refuse(policies.DocumentUnsafe))
		for _, rule := range policies.DocumentRulesTable() {
			warning := m.Finding(policies.Finding{Code: rule.Code})
			refusal := m.Refusal(policies.Refuse(policies.DocumentUnsafe, "reason", string(rule.Code), "where", "page 3"))
			if warning.Detail == general.Detail || !strings.HasSuffix(warning.Detail, ".") {
				t.Errorf("%s: got %q, want a sentence of its own", rule.Code, warning.Detail)
			}
			if !strings.HasSuffix(warning.Remedy, ".") || strings.Contains(warning.Remedy, "refusal.") {
				t.Errorf("remedy of %s: got %q, want a sentence", rule.Code, warning.Remedy)
			}
			if warning.Title == refusal.Title || warning.Detail != refusal.Detail || warning.Remedy != refusal.Remedy {
				t.Errorf("%s: got warning %+v and refusal %+v, want the same facts under two titles", rule.Code, warning, refusal)
			}
		}
	})
}

func TestEveryPlaceHasItsWords(t *testing.T) {
	t.Parallel()
	eachLanguage(t, func(t *testing.T, m *Messages) {
		t.Helper()
		for _, place := range policies.Wheres() {
			if got := m.Where(place); !strings.HasSuffix(got, ".") || !m.Has("where."+string(place)) {
				t.Errorf("Where(%s): got %q, want a sentence", place, got)
			}
		}
	})
}

func TestLetters(t *testing.T) {
	t.Parallel()
	params := map[string]any{
		"name": "Ana Núñez", "service": "Firma", "when": time.Date(2026, 11, 21, 9, 43, 0, 0, time.UTC), "until": "21 de noviembre de 2030",
		"day": "21 de noviembre de 2030", "since": "21 de noviembre de 2025", "page": "https://firma.example.es/certificado",
		"obstacle": "Antes", "detail": "Detalle.", "remedy": "Remedio.",
		"title": "Solicitud\r\nBcc: x", "application": "Sede", "reference": "K7QF", "serial": "7F3A", "reason": "usted lo pidió", "url": "https://firma.example.es",
		"link": "https://firma.example.es/x", "key": "Ana Núñez",
	}
	eachLanguage(t, func(t *testing.T, m *Messages) {
		t.Helper()
		for _, kind := range MailKinds() {
			mail, err := m.Mail(kind, params)
			if err != nil {
				t.Errorf("Mail(%s): %v", kind, err)
			}
			if mail.Subject == "" || strings.ContainsAny(mail.Subject, "\r\n") {
				t.Errorf("subject of %s: got %q, want one line", kind, mail.Subject)
			}
			if strings.Contains(mail.Body, "\nBcc") || !strings.Contains(mail.Body, "Ana Núñez") {
				t.Errorf("body of %s: got %q, want the name, and no line out of a title", kind, mail.Body)
			}
			if _, err := m.Mail(kind, nil); !errors.Is(err, ErrParams) {
				t.Errorf("Mail(%s) without its facts: got %v, want ErrParams", kind, err)
			}
		}
	})
}
