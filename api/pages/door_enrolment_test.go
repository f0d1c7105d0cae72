package pages_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/thread"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// authority is the other side for one person on the way.
type authority struct {
	*far

	row       citizen.Enrolment
	ticket    signer.Ticket
	challenge string // that the door was asked with
	orders    []citizen.EnrolmentOrder
	refuses   *policies.Refusal
	code      citizen.ActivationCode
	answers   []citizen.EnrolmentAnswer
}

func (a *authority) refusal() error {
	if a.refuses == nil {
		return nil
	}
	return a.refuses
}

func (a *authority) Redeem(_ context.Context, r citizen.Redemption) (citizen.Redeemed, error) {
	verifier, err := base64.RawURLEncoding.DecodeString(r.Verifier)
	sum := sha256.Sum256(verifier)
	if err != nil || r.Code != "once" || base64.RawURLEncoding.EncodeToString(sum[:]) != a.challenge {
		return citizen.Redeemed{}, policies.Refuse(policies.SessionExpired)
	}
	a.row.Procedure = r.Procedure
	return citizen.Redeemed{Ticket: a.ticket, ExpiresAt: time.Now().Add(time.Hour)}, a.refusal()
}

func (a *authority) SendEnrolmentCode(_ context.Context, o citizen.EnrolmentOrder) (signer.Challenge, error) {
	if err := a.refusal(); err != nil {
		return signer.Challenge{}, err
	}
	a.orders = append(a.orders, o)
	a.row.Phone, a.row.Email, a.row.SentAt = o.Phone.String(), o.Email.String(), time.Now()
	a.row.DocumentUntil = o.DocumentUntil.Format(time.DateOnly)
	return signer.Challenge{}, nil
}

func (a *authority) CompleteEnrolment(_ context.Context, answer citizen.EnrolmentAnswer) (citizen.Receipt, error) {
	if err := a.refusal(); err != nil {
		return citizen.Receipt{}, err
	}
	a.answers = append(a.answers, answer)
	a.row.SpentAt = time.Now()
	receipt := citizen.Receipt{CitizenID: "ANA", RegisteredAt: time.Now()}
	if answer.Procedure == citizen.ProcedureRegister || answer.Procedure == citizen.ProcedureActivation {
		receipt.ActivationCode = a.code
	}
	return receipt, nil
}

func (a *authority) Enrolment(_ context.Context, hash []byte, _ time.Time) (citizen.Enrolment, error) {
	if string(hash) != string(a.ticket.Hash()) {
		return citizen.Enrolment{}, policies.Refuse(policies.SessionExpired)
	}
	row := a.row
	row.Hash = hash
	return row, nil
}

// office is a house of those who register on line.
type office struct {
	*house

	authority *authority
	rules     policies.Rules
}

func newOffice(t *testing.T) *office {
	t.Helper()
	words, drawn := shared(t)
	h := newHouse(t)
	o := &office{house: h, rules: policies.DefaultRules(), authority: &authority{
		far: h.far, ticket: signer.NewTicket(), code: citizen.NewActivationCode(), row: citizen.Enrolment{
			Kind: citizen.ByCertificate, Identifier: identifier,
			Attestation: citizen.Attestation{
				Mode: policies.ModeCertificate, Level: policies.LevelAdvanced, GivenName: "Ana", Surnames: "Núñez Pérez", OfficeName: "Registro",
			},
		},
	}}
	door := pages.NewDoor(pages.DoorConfig{
		Pages: drawn, Store: h.far, Requests: core{}, Module: h.far, Register: h.far, Rules: o.rules,
		CodeInterval: 30 * time.Second, Development: true, Now: time.Now,
	})
	server := httptest.NewUnstartedServer(nil)
	h.url = "http://" + server.Listener.Addr().String()
	// The certificate door: it hands over what it was asked with.
	certificates := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.authority.challenge = r.URL.Query().Get("desafio")
		http.Redirect(w, r, h.url+"/certificado-presentado?codigo=once&tramite="+url.QueryEscape(r.URL.Query().Get("tramite")), http.StatusSeeOther)
	}))
	t.Cleanup(certificates.Close)
	room := pages.RegistrationRoom{
		Door: door, Registrar: o.authority, Enrolments: o.authority, CertificateURL: certificates.URL, OfficesURL: "/oficinas", ServiceURL: h.url,
	}
	site, err := api.New(api.Config{
		PublicURL: h.url, Catalogue: words, ErrorPage: door.Trouble, Rooms: []func(*api.Site){door.Room, room.Room},
		Limits: api.DefaultLimits(), Logger: slog.New(slog.NewTextHandler(h.logged, nil)), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.page.Reset()
		site.ServeHTTP(&witness{w, io.MultiWriter(h.seen, h.page)}, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	if h.Browser, err = thread.NewBrowser(); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestRegisterOnLine goes from the ways to register to the activation code, is
// told before what the registration will not be enough for, and loses nothing
// that was typed.
func TestRegisterOnLine(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.open("/registro")
	o.says("/registro", http.StatusOK, "Regístrese", "Con otro certificado podrá identificarse, pero para firmar tendrá que renovar antes el registro")
	o.open("/con-certificado/registro")
	o.says("/registro/datos", http.StatusOK, "Sus datos de contacto", "Ana Núñez Pérez", "***4567**", "Para firmar no bastará este registro")
	o.submit(form{"mobile": "912345678", "contact_email": "ana", "document_until": "mañana"})
	o.says("/registro/datos", http.StatusUnprocessableEntity, "Por ejemplo, 612 345 678")
	if page := o.page.String(); !strings.Contains(page, `value="912345678"`) || !strings.Contains(page, `value="ana"`) || !strings.Contains(page, `value="mañana"`) {
		t.Errorf("what was typed is lost: %s", page)
	}
	o.submit(form{"mobile": "612 345 678", "contact_email": "ana@example.es", "document_until": "31/12/2030"})
	o.says("/registro/codigo", http.StatusOK, "Escriba el código del SMS", "678")
	order := o.authority.orders[0]
	if got := order.Phone.String() + order.Email.String() + order.DocumentUntil.Format(time.DateOnly) + order.Locale; got != "+34612345678ana@example.es2030-12-31es" {
		t.Errorf("got %s ordered", got)
	}
	o.authority.refuses = policies.Refuse(policies.CodeWrong, "tries", "2")
	o.submit(form{"code": "12345678"})
	o.says("/registro/codigo", http.StatusUnprocessableEntity)
	o.authority.refuses = policies.Refuse(policies.PhoneTaken)
	o.submit(form{"code": "12345678"})
	o.says("/registro/codigo", http.StatusUnprocessableEntity, "Ese móvil ya está en uso")
	o.authority.refuses = nil
	o.submit(form{"code": "1234 5678"})
	o.says("/registro/codigo", http.StatusOK, "Ya está registrado", o.authority.code.Print(), "Para firmar no bastará este registro")
	if got := o.authority.answers[0]; got.Procedure != citizen.ProcedureRegister || got.Code.Reveal() != "12345678" {
		t.Errorf("answered with %v %s", got.Procedure, got.Code.Reveal())
	}

	o.submit(form{})
	if !strings.HasPrefix(strings.TrimSpace(o.page.String()), "%PDF-") || o.Status() != http.StatusOK {
		t.Errorf("got %d and no receipt: %.60s", o.Status(), o.page.String())
	}
	for _, path := range []string{"/registro/datos", "/registro/codigo"} {
		o.open(path)
		o.says(path, http.StatusUnprocessableEntity, "Hay que volver a empezar")
	}
	if strings.Contains(o.logged.String(), o.authority.code.Print()) || strings.Contains(o.URL().String(), "once") {
		t.Error("a secret is in the log or in the address")
	}
}

// TestProcedures goes through those that a registered person follows.
func TestProcedures(t *testing.T) {
	t.Parallel()
	for procedure, tt := range map[citizen.Procedure]struct {
		path    string
		explain string
		fields  []form
		done    string
	}{
		citizen.ProcedureRenew:      {"/renovar", "Ningún otro certificado sirve", []form{{"document_until": "31/12/2030"}}, "Registro renovado"},
		citizen.ProcedurePhone:      {"/movil", "Durante 72 horas", []form{{"mobile": "612345678"}, {"code": "12345678"}}, "Móvil cambiado"},
		citizen.ProcedureActivation: {"/codigo-de-activacion", "El código anterior deja de valer", []form{{}}, "Código de activación nuevo"}, //nolint:misspell // Spanish
	} {
		t.Run(string(procedure), func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.authority.row.Mode = policies.ModeDNIe
			o.open(tt.path)
			o.says(tt.path, http.StatusOK, tt.explain)
			o.leads(true, "/con-certificado/"+string(procedure))
			o.open("/con-certificado/" + string(procedure))
			for _, fields := range tt.fields {
				if len(o.authority.answers) > 0 {
					t.Fatal("done before it was confirmed")
				}
				o.submit(fields)
			}
			if o.Status() != http.StatusOK || !strings.Contains(o.Text(), tt.done) || len(o.authority.answers) != 1 {
				t.Errorf("got %d, %d answers: %s", o.Status(), len(o.authority.answers), o.Text())
			}
		})
	}
}

// TestEnrolmentsOfOthers has neither another browser nor another page go on
// with what a certificate was shown for.
func TestEnrolmentsOfOthers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.open("/certificado-presentado?codigo=once&tramite=registro")
	o.says("/certificado-presentado", http.StatusUnprocessableEntity, "Hay que volver a empezar")
	o.open("/con-certificado/registro")
	o.says("/registro/datos", http.StatusOK)
	o.open("/movil/datos")
	o.says("/movil/datos", http.StatusUnprocessableEntity, "Hay que volver a empezar")
	for _, path := range []string{"/con-certificado/otra", "/certificado-presentado?codigo=once&tramite=otra"} {
		o.open(path)
		if o.Status() != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, o.Status())
		}
	}

	// A form without the guard of its session, as another page would send it.
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(o.url + "/registro")
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(address, []*http.Cookie{{Name: "rubrica_enrolment", Value: o.authority.ticket.Encode(), Path: "/registro"}})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url+"/registro/datos", strings.NewReader(url.Values{
		"mobile": {"612345678"}, "contact_email": {"eva@example.es"}, "document_until": {"31/12/2030"},
	}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusUnprocessableEntity || len(o.authority.orders) > 0 {
		t.Errorf("got %d and %d codes sent, want none", response.StatusCode, len(o.authority.orders))
	}
}

// TestWhoMayNotBegin is told why, in words of their own.
func TestWhoMayNotBegin(t *testing.T) {
	t.Parallel()
	for code, sentence := range map[policies.Code]string{
		policies.CitizenExists:       "Usted ya está registrado",
		policies.CitizenUnknown:      "Usted no está registrado",
		policies.CitizenDeregistered: "Su cuenta está dada de baja",
		policies.DNIeRequired:        "Hace falta el DNI electrónico",
	} {
		o := newOffice(t)
		o.authority.refuses = policies.Refuse(code)
		o.open("/con-certificado/renovacion")
		o.says("/certificado-presentado", http.StatusUnprocessableEntity, sentence)
	}
}
