package notify_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/dev/inbox"
	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/signer"
)

func newPost(t *testing.T) (mails, texts *inbox.Box, post *notify.Post) {
	t.Helper()
	mails, mailer := newMailer(t, maria())
	texts, sender := phones(t)
	return mails, texts, &notify.Post{
		Catalogue: mailer.Catalogue, Sender: sender, SMTP: mailer.SMTP, Service: "Rúbrica",
		PublicURL: "https://firma.example.es/", Host: "firma.example.es",
	}
}

func TestPostMails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mail    citizen.SecretMail
		subject string
		tells   []string
	}{
		{
			citizen.SecretMail{Kind: citizen.MailEmailLink, Name: "María", Secret: citizen.NewSecret("/mi/correo?clave=abc_-1"), Until: noon},
			"Confirme su nuevo correo",
			[]string{"Hola, María:", "\n\nhttps://firma.example.es/mi/correo?clave=abc_-1\n\n", "10 de marzo de 2026 a las 12:00"},
		},
		{
			citizen.SecretMail{Kind: citizen.MailPasswordLink, Name: "María", Locale: "en", Secret: citizen.NewSecret("/x?clave=abc"), Until: noon},
			"Change of your signing password",
			[]string{"\nhttps://firma.example.es/x?clave=abc\n"},
		},
		{
			citizen.SecretMail{Kind: citizen.MailOperationsKey, Secret: citizen.NewSecret("K7QF-2M9X")},
			"Su clave de operaciones",
			[]string{"\n\nK7QF-2M9X\n\n", "Rúbrica"},
		},
	} {
		t.Run(string(test.mail.Kind), func(t *testing.T) {
			t.Parallel()
			mails, _, post := newPost(t)
			test.mail.To = "maria@example.es"
			if err := post.Mail(t.Context(), test.mail); err != nil {
				t.Fatalf("Mail: %v", err)
			}
			got := mails.Find("")
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

func TestPostTexts(t *testing.T) {
	t.Parallel()
	for kind, want := range map[citizen.MessageKind]string{
		citizen.TextEnrolment: "Rubrica: confirmar que este movil es suyo. Codigo 1234 5678. No lo comparta.\n@firma.example.es #12345678",
		citizen.TextPIN:       "Rubrica: su PIN es 1234 5678. Sirve una vez, durante 10 minutos. No lo comparta.\n@firma.example.es #12345678",
	} {
		_, texts, post := newPost(t)
		m := citizen.SecretText{ID: "code", Kind: kind, Phone: "+34600000421", Locale: "es", Secret: citizen.NewSecret("12345678")}
		if err := post.Text(t.Context(), m); err != nil {
			t.Fatalf("Text: %v", err)
		}
		if got := texts.Find(""); len(got) != 1 || got[0].ID != "code" || got[0].To != m.Phone || got[0].Text != want {
			t.Errorf("%s: got %v, want %q", kind, got, want)
		}
	}
}

// An unknown kind, and a server that does not take a message, are errors; none
// tells the secret.
func TestPostFails(t *testing.T) {
	t.Parallel()
	mails, texts, post := newPost(t)
	post.SMTP.Plain = false // the server has no TLS
	post.Sender = &notify.Gateway{URL: "http://127.0.0.1:1/", Client: http.DefaultClient}
	const secret = "/mi/correo?clave=hidden"
	link := citizen.SecretMail{Kind: citizen.MailEmailLink, To: "maria@example.es", Secret: citizen.NewSecret(secret), Until: noon}
	text := citizen.SecretText{Kind: citizen.TextPIN, Phone: "+34600000421", Secret: citizen.NewSecret(secret)}
	other, strange := link, text
	other.Kind, strange.Kind = citizen.TextPIN, citizen.MailEmailLink
	for name, err := range map[string]error{
		"mail": post.Mail(t.Context(), link), "another kind of mail": post.Mail(t.Context(), other),
		"text": post.Text(t.Context(), text), "another kind of text": post.Text(t.Context(), strange),
	} {
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, link), "hidden") {
			t.Errorf("%s: got %v, want an error that does not tell the secret", name, err)
		}
	}
	if got := len(mails.Find("")) + len(texts.Find("")); got != 0 {
		t.Errorf("got %d messages, want none", got)
	}
}

func TestCourierTells(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Solicitud de licencia ", 10)
	for _, test := range []struct{ kind, title, want string }{
		{"document_signed", "Solicitud de ayuda", `Rubrica: ha firmado "Solicitud de ayuda". Ref. K7QF. Si no ha sido usted, entre en firma.example.es.`},
		{"document_signed", long, `Rubrica: ha firmado "Solicitud de licencia Solicitud de li...itud de licencia Solicitud de licencia". Ref. K7QF. Si no ha sido usted, entre en firma.example.es.`},
		{"phone_changed", "", "Rubrica: este movil ya no es el de su cuenta de firma. Si no lo ha pedido usted, acuda a una oficina o entre en firma.example.es."},
		{"email_changed", "", "Rubrica: ha cambiado el correo de su cuenta de firma. Si no ha sido usted, entre en firma.example.es."},
		{"incident_opened", "", "Rubrica: su certificado esta suspendido y hemos abierto una incidencia. Mas en firma.example.es."},
		{"letter_requested", "", "Rubrica: se ha pedido una carta de registro con su DNI o NIE. Si no ha sido usted, entre en firma.example.es."},
	} {
		box, g := phones(t)
		courier := &notify.Courier{Catalogue: sentences(t), Sender: g, Service: "Rúbrica", Host: "firma.example.es"}
		m := signer.NoticeMessage{ID: "notice", Phone: "+34600000421", Locale: "es", Kind: test.kind, Title: test.title, Reference: "K7QF"}
		if err := courier.Tell(t.Context(), m); err != nil {
			t.Fatalf("Tell: %v", err)
		}
		if arrived := box.Find(m.Phone); len(arrived) != 1 || arrived[0].Text != test.want {
			t.Errorf("%s: got %v, want one with text %q", test.kind, arrived, test.want)
		}
		if m.Kind = "other"; courier.Tell(t.Context(), m) == nil {
			t.Error("Tell of an unknown kind: got nil, want an error")
		}
	}
}

// A notice of a change goes to the former address where one is given.
func TestMailerTellsTheFormer(t *testing.T) {
	t.Parallel()
	box, mailer := newMailer(t, maria())
	for _, former := range []string{"", "before@example.es", "+34600000421"} {
		if err := mailer.Deliver(t.Context(), signer.Notice{Kind: "email_changed", CitizenID: "maria", Former: former}); err != nil {
			t.Fatalf("Deliver: %v", err)
		}
	}
	var to []string
	for _, m := range box.Find("") {
		to = append(to, m.To)
	}
	if diff := cmp.Diff([]string{"maria@example.es", "before@example.es", "maria@example.es"}, to); diff != "" {
		t.Errorf("recipients differ (-want +got):\n%s", diff)
	}
}
