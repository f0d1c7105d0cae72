package notify_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// loaded is read once: it is immutable.
var loaded = sync.OnceValues(catalogue.New)

func sentences(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// message is a code that a town's application makes the signer send.
func message(t *testing.T, purpose signer.Purpose) signer.CodeMessage {
	t.Helper()
	code, err := signer.ParseCode("12345678")
	if err != nil {
		t.Fatal(err)
	}
	return signer.CodeMessage{
		ID: "challenge", RequestID: "request", Phone: "+34600000421", Locale: "es", Purpose: purpose, Code: code,
		Organisation: "Ayuntamiento de Gijón", Application: "Sede", Title: "Solicitud de ayuda", Documents: 1, Reference: "K7QF",
	}
}

// deliver carries a message to the phone and returns what arrives there.
func deliver(t *testing.T, m signer.CodeMessage) string {
	t.Helper()
	box, g := phones(t)
	courier := &notify.Courier{Catalogue: sentences(t), Sender: g, Service: "Rúbrica", Host: "firma.example.es"}
	if err := courier.SendCode(t.Context(), m); err != nil {
		t.Fatalf("SendCode: %v", err)
	}
	arrived := box.Find(m.Phone)
	if len(arrived) != 1 || arrived[0].ID != m.ID {
		t.Fatalf("got messages %v, want one with id %s", arrived, m.ID)
	}
	return arrived[0].Text
}

func TestCourier(t *testing.T) {
	t.Parallel()
	const last = "\n@firma.example.es #12345678"
	asked := message(t, signer.ForRevocation) // by an application, for an affair
	asked.RequestID = ""
	const errand = "Ayuntamiento de Gijon: revocar para siempre su certificado de firma. Codigo 1234 5678. No lo comparta."
	if got := deliver(t, asked); got != errand+last {
		t.Errorf("SMS of an errand:\n got %q\nwant %q", got, errand+last)
	}
	for _, test := range []struct {
		name      string
		purpose   signer.Purpose
		locale    string
		documents int
		want      string
	}{
		{"activation", signer.ForActivation, "es", 0, "Rubrica: activar su cuenta. Codigo 1234 5678. No lo comparta."},
		{"certificate", signer.ForCertificate, "es", 1, "Rubrica: crear su certificado de firma. Codigo 1234 5678. No lo comparta."},
		{"password", signer.ForPassword, "es", 0, "Rubrica: cambio de su contraseña de firma. Codigo 1234 5678. No lo comparta."},
		{"revocation", signer.ForRevocation, "es", 0, "Rubrica: revocar para siempre su certificado de firma. Codigo 1234 5678. No lo comparta."},
		{"suspension", signer.ForSuspension, "es", 0, "Rubrica: suspender su certificado de firma. Codigo 1234 5678. No lo comparta."},
		{"release", signer.ForRelease, "es", 0, "Rubrica: volver a activar su certificado de firma suspendido. Codigo 1234 5678. No lo comparta."},
		{"deregistration", signer.ForDeregistration, "es", 0, "Rubrica: darse de baja del servicio. Codigo 1234 5678. No lo comparta."},
		{"address", signer.ForEmail, "es", 0, "Rubrica: cambiar su correo. Codigo 1234 5678. No lo comparta."},
		{"association", signer.ForAssociation, "es", 0, "Rubrica: cambiar el certificado con el que entra. Codigo 1234 5678. No lo comparta."},
		{
			"one document", signer.ForSignature, "es", 1,
			`Ayuntamiento de Gijon: firma de "Solicitud de ayuda". Ref. K7QF. Codigo 1234 5678. No lo comparta.`,
		},
		{
			"several documents", signer.ForSignature, "es", 3,
			"Ayuntamiento de Gijon: firma de 3 documentos. Ref. K7QF. Codigo 1234 5678. No lo comparta.",
		},
		{
			"in English", signer.ForSignature, "en-GB", 1,
			`Ayuntamiento de Gijon: signature of "Solicitud de ayuda". Ref. K7QF. Code 1234 5678. Do not share it.`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := message(t, test.purpose)
			m.Locale, m.Documents = test.locale, test.documents
			if got := deliver(t, m); got != test.want+last {
				t.Errorf("SMS:\n got %q\nwant %q", got, test.want+last)
			}
		})
	}
}

// TestCourierFits sends what administrations ask to sign: each fits one SMS.
func TestCourierFits(t *testing.T) {
	t.Parallel()
	for _, title := range []string{
		"Acta",
		"Solicitud de licencia de obra mayor en la calle del Doctor Fleming, 14, 3.º izquierda",
		"Memoria técnica — Plan de rehabilitación energética «Vivienda 2026» (anexo IV)",
		"Sol·licitud d'ajut a la rehabilitació de façanes de l'Ajuntament de l'Hospitalet de Llobregat",
		"€ {[^]} ~ | \\",
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			m := message(t, signer.ForSignature)
			m.Title, m.Organisation = title, "Consejería de Hacienda y Administración Pública de la Junta de Extremadura"
			text := deliver(t, m)
			if septets, ok := catalogue.Septets(text); !ok || septets > catalogue.MessageSeptets {
				t.Errorf("got %d septets (in the alphabet: %t), want at most %d: %q", septets, ok, catalogue.MessageSeptets, text)
			}
		})
	}
}

func TestCourierReminds(t *testing.T) {
	t.Parallel()
	for kind, want := range map[policies.ReminderKind]string{
		policies.RemindCertificate:  "Rubrica: su certificado de firma caduca el 10/03/2028. Para renovarlo, entre en firma.example.es. No le pedimos claves por SMS.",
		policies.RemindRegistration: "Rubrica: su registro vence el 10/03/2028. Renuévelo en una oficina o con DNI electronico. Para saber mas, entre en firma.example.es.",
	} {
		box, g := phones(t)
		courier := &notify.Courier{Catalogue: sentences(t), Sender: g, Service: "Rúbrica", Host: "firma.example.es"}
		m := signer.ReminderMessage{ID: string(kind), Phone: "+34600000421", Locale: "es", Kind: kind, Ends: noon.AddDate(2, 0, 0)}
		if err := courier.Remind(t.Context(), m); err != nil {
			t.Fatalf("Remind: %v", err)
		}
		if arrived := box.Find(m.Phone); len(arrived) != 1 || arrived[0].ID != m.ID || arrived[0].Text != want {
			t.Errorf("%s: got %v, want one with text %q", kind, arrived, want)
		}
		g.Token = []byte("another token")
		if err := courier.Remind(t.Context(), m); !errors.Is(err, notify.ErrNotAccepted) {
			t.Errorf("%s: got %v, want ErrNotAccepted", kind, err)
		}
	}
}

func TestCourierFails(t *testing.T) {
	t.Parallel()
	box, g := phones(t)
	g.Token = []byte("another token")
	courier := &notify.Courier{Catalogue: sentences(t), Sender: g, Service: "Rúbrica", Host: "firma.example.es"}
	if err := courier.SendCode(t.Context(), message(t, signer.ForSignature)); !errors.Is(err, notify.ErrNotAccepted) {
		t.Errorf("SendCode: got %v, want ErrNotAccepted", err)
	}
	if got := box.Find(""); len(got) != 0 {
		t.Errorf("got messages %v, want none", got)
	}
}
