package pages_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/thread"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const somebodyElse = "87654321X"

// private is the other side for the own pages of one citizen, and for nobody
// else's.
type private struct {
	*far

	t         *testing.T
	requests  map[string]signer.Request
	rows      []citizen.HistoryRow
	asked     []citizen.HistoryQuery
	associate *citizen.Association
	incidents []citizen.Incident
	notices   signer.Notices
	pending   map[string]citizen.PendingKind
	email     string
	log       []citizen.LogEntry
	left      bool
}

func (p *private) mine(what string) {
	if what != identifier && what != "ANA" {
		p.t.Errorf("got %q asked for, want nobody but the one behind the ticket", what)
	}
}

func (p *private) Identify(ctx context.Context, who signer.Identification) (signer.Session, error) {
	session, err := p.far.Identify(ctx, who)
	if err == nil && who.Access {
		p.admit(session.Ticket, signer.ViaPassword)
	}
	return session, err
}

// admit makes a ticket one of the own pages.
func (p *private) admit(t signer.Ticket, via signer.Via) {
	p.set(func() {
		v := p.tickets[string(t.Hash())]
		if v == nil {
			v = &signer.Visitor{ExpiresAt: time.Now().Add(time.Hour)}
			p.tickets[string(t.Hash())] = v
		}
		v.Purpose, v.Via, v.RequestID = signer.ForAccess, via, ""
		v.Citizen = signer.Citizen{
			ID: "ANA", Identifier: identifier, GivenName: "Ana", Surnames: "Núñez Pérez", Phone: "+34600000421", Email: "ana@example.es",
			Status: signer.Active, Notices: p.notices, DocumentUntil: time.Now().AddDate(1, 0, 0),
			Registration: signer.Registration{Mode: "office", Level: "advanced", AssuredAt: time.Now().AddDate(-1, 0, 0)},
		}
	})
}

func (p *private) Request(_ context.Context, id string) (signer.Request, error) {
	r, known := p.requests[id]
	if !known {
		return r, policies.Refuse(policies.RequestUnknown)
	}
	return r, nil
}

func (p *private) History(_ context.Context, q citizen.HistoryQuery) ([]citizen.HistoryRow, error) {
	p.mine(q.Identifier)
	p.asked = append(p.asked, q)
	var rows []citizen.HistoryRow
	for _, r := range p.rows {
		before := q.Before == citizen.HistoryPlace{} || r.CreatedAt.Before(q.Before.At)
		if before && (q.State == "" || r.State == q.State) && len(rows) < q.Limit {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func (p *private) Askers(_ context.Context, id string) ([]signer.Application, error) {
	p.mine(id)
	return []signer.Application{{ID: "sede", Name: "Sede", Organisation: "Gijón"}}, nil
}

func (p *private) SignatureEntries(context.Context, string) ([]audit.Record, error) {
	return []audit.Record{
		{Seq: 7, Type: audit.SignIntent, At: time.Now(), Payload: []byte(`{"proofs": [{"factor": "knowledge"}, {"phone": "··· ··· 421"}]}`)},
		{Seq: 8, Type: audit.SignDone, At: time.Now(), Payload: []byte(`{}`)},
	}, nil
}

func (p *private) AssociatedCertificate(_ context.Context, id string) (*citizen.Association, error) {
	p.mine(id)
	return p.associate, nil
}

func (p *private) Registrations(_ context.Context, id string) ([]signer.Registration, error) {
	p.mine(id)
	return []signer.Registration{{Mode: "office", Level: "advanced", AssuredAt: time.Now()}}, nil
}

func (p *private) CertificatesOf(_ context.Context, id string) ([]signer.Certificate, error) {
	p.mine(id)
	return []signer.Certificate{{Serial: "0a", DER: []byte{1}}}, nil
}

func (p *private) Incidents(_ context.Context, id string) ([]citizen.Incident, error) {
	p.mine(id)
	return p.incidents, nil
}

func (p *private) Visits(_ context.Context, id string) ([]citizen.Visit, error) {
	p.mine(id)
	return []citizen.Visit{{Purpose: signer.ForAccess, Via: signer.ViaPassword}}, nil
}

func (p *private) WaitingChange(_ context.Context, hash []byte, now time.Time) (citizen.Pending, error) {
	kind, known := p.pending[string(hash)]
	if !known {
		return citizen.Pending{}, policies.Refuse(policies.LinkInvalid)
	}
	return citizen.Pending{Kind: kind, ExpiresAt: now.Add(time.Minute)}, nil
}

func (p *private) ChangeEmail(_ context.Context, a signer.Answer, e citizen.Email) error {
	p.email = e.String()
	return p.confirm(a, signer.ForEmail)
}

// confirm is spend for a ticket that goes on.
func (p *private) confirm(a signer.Answer, purpose signer.Purpose) error {
	err := p.spend(a, purpose)
	p.set(func() {
		if v := p.tickets[string(a.Ticket.Hash())]; v != nil {
			v.Spent = false
		}
	})
	return err
}

func (p *private) Follow(_ context.Context, l citizen.Link) (citizen.PendingKind, error) {
	kind, known := p.pending[string(l.Hash())]
	if !known {
		return "", policies.Refuse(policies.LinkInvalid)
	}
	delete(p.pending, string(l.Hash()))
	return kind, nil
}

func (p *private) Deregister(_ context.Context, a signer.Answer) error {
	err := p.spend(a, signer.ForDeregistration)
	if err == nil {
		p.set(func() { p.left, p.tickets[string(a.Ticket.Hash())].Citizen.Status = true, signer.Deregistered })
	}
	return err
}

func (p *private) Associate(_ context.Context, a signer.Answer, _ signer.Ticket) error {
	return p.confirm(a, signer.ForAssociation)
}

func (p *private) Dissociate(_ context.Context, a signer.Answer) error {
	err := p.confirm(a, signer.ForAssociation)
	if err == nil {
		p.associate = nil
	}
	return err
}

func (p *private) SetNotices(_ context.Context, _ signer.Ticket, n signer.Notices) error {
	if n == "pigeon" {
		return policies.Refuse(policies.RequestMalformed)
	}
	p.notices = n
	return nil
}

func (p *private) OpenIncident(_ context.Context, c citizen.Complaint) (citizen.Incident, error) {
	i := citizen.Incident{ID: "AVISO", RequestID: c.RequestID, Said: c.Said, OpenedAt: time.Now()}
	p.incidents = append(p.incidents, i)
	return i, nil
}

func (p *private) ReadLog(_ context.Context, _ signer.Ticket, after int64) ([]citizen.LogEntry, error) {
	var entries []citizen.LogEntry
	for _, e := range p.log {
		if e.Seq > after && len(entries) < 2 {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// papers proves whatever it is asked to.
type papers struct{ pages.Receipts }

func (papers) Evidence(_ context.Context, r signer.Request) ([]byte, error) {
	return []byte("evidence of " + r.ID), nil
}

// ownHouse is the own pages on a real server, and a browser before it.
type ownHouse struct {
	*house
	private *private
}

func newOwnHouse(t *testing.T) ownHouse {
	t.Helper()
	h := newHouse(t)
	p := &private{far: h.far, t: t, pending: map[string]citizen.PendingKind{}, notices: signer.NoticesMail, requests: map[string]signer.Request{}}
	now := time.Now()
	for id, who := range map[string]string{"MIA": identifier, "AJENA": somebodyElse} {
		p.requests[id] = signer.Request{
			ID: id, Identifier: who, State: signer.Signed, Title: "Solicitud " + id, CreatedAt: now, ClosedAt: now,
			Application: signer.Application{ID: "sede", Name: "Sede", Organisation: "Gijón"},
			Documents:   []signer.Document{{Ordinal: 1, Name: "nota.pdf", SHA256: make([]byte, 32)}},
		}
	}
	for i := range 60 {
		p.rows = append(p.rows, citizen.HistoryRow{
			ID: fmt.Sprintf("P%02d", i), Title: fmt.Sprintf("Trámite %02d", i), State: signer.Signed, Documents: 1,
			CreatedAt: now.Add(-time.Duration(i) * time.Hour), ClosedAt: now, Application: signer.Application{Name: "Sede", Organisation: "Gijón"},
		})
	}
	for i := range 5 {
		p.log = append(p.log, citizen.LogEntry{Seq: int64(i + 1), Type: audit.AuthSucceeded, At: now, Payload: []byte(`{"person":"` + identifier + `"}`)})
	}
	drawn, words := h.drawn, h.words
	door := pages.NewDoor(pages.DoorConfig{
		Pages: drawn, Store: p, Requests: core{}, Receipts: papers{}, Module: p, Register: h.far, Rules: policies.DefaultRules(),
		CodeInterval: 30 * time.Second, Development: true, Now: time.Now,
	})
	room := pages.OwnRoom{Door: door, Own: p, Profile: p, Certificates: true, PINs: true}
	server := httptest.NewUnstartedServer(nil)
	h.url = "http://" + server.Listener.Addr().String()
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
	return ownHouse{h, p}
}

func (h ownHouse) press(action string) {
	h.Helper()
	if err := h.Press(h.Context(), action); err != nil {
		h.Fatal(err)
	}
}

// in is somebody who has come in with the password.
func in(t *testing.T) ownHouse {
	t.Helper()
	h := newOwnHouse(t)
	h.open("/mi")
	h.says("/mi/entrar", http.StatusOK, "Entre en sus páginas", "Entrar con Cl@ve PIN")
	h.submit(form{"identifier": identifier, "password": present})
	h.says("/mi", http.StatusOK, "Mis páginas", "Trámite 00")
	if !strings.Contains(h.page.String(), "<strong>Ana Núñez Pérez</strong>") {
		t.Error("got a page that does not say whose it is")
	}
	return h
}

// TestOwnPagesAreClosed: nobody sees anything without a ticket, and nobody else's
// with one.
func TestOwnPagesAreClosed(t *testing.T) {
	t.Parallel()
	h := newOwnHouse(t)
	for _, path := range []string{
		"/mi", "/mi/firmas", "/mi/firmas/MIA", "/mi/firmas/MIA/justificante.pdf", "/mi/firmas/MIA/justificante.json", "/mi/perfil", "/mi/registro",
		"/mi/datos", "/mi/datos/mis-datos.json", "/mi/avisos", "/mi/correo", "/mi/certificado", "/mi/baja", "/mi/baja/codigo", "/mi/no-he-sido-yo", "/mi/incidencias",
	} {
		h.open(path)
		h.says("/mi/entrar", http.StatusOK, "Entre en sus páginas")
	}
	h.submit(form{"identifier": identifier, "password": "Equivocada-1"})
	h.says("/mi/entrar", http.StatusUnprocessableEntity)
	h.submit(form{"identifier": identifier, "password": present})
	h.says("/mi/incidencias", http.StatusOK)
	h.open("/mi/firmas/MIA/justificante.pdf")
	if h.Status() != http.StatusOK || !strings.HasSuffix(h.page.String(), "evidence of MIA") {
		t.Errorf("the own receipt: got %d: %s", h.Status(), h.page)
	}
	for _, path := range []string{"/mi/firmas/AJENA", "/mi/firmas/AJENA/justificante.pdf", "/mi/firmas/AJENA/justificante.json", "/mi/no-he-sido-yo?firma=AJENA", "/mi/firmas/NINGUNA"} {
		h.open(path)
		if h.Status() != http.StatusNotFound || strings.Contains(h.Text(), "Solicitud AJENA") {
			t.Errorf("%s: got %d, want it not found: %s", path, h.Status(), h.Text())
		}
	}
}

// TestEntryLeadsBack goes where somebody wanted to go, but to no other site.
func TestEntryLeadsBack(t *testing.T) {
	t.Parallel()
	h := newOwnHouse(t)
	for where, want := range map[string]string{
		"/mi/registro": "/mi/registro", "//ladron.example/mi/": "/mi", "/mi/../firma/X": "/mi", "https://ladron.example/": "/mi", "/certificado": "/mi", "/mi/%5C": "/mi",
	} {
		var err error
		if h.Browser, err = thread.NewBrowser(); err != nil {
			t.Fatal(err)
		}
		h.open("/mi/entrar?ir=" + where)
		h.submit(form{"identifier": identifier, "password": present})
		h.says(want, http.StatusOK)
	}
}

// TestSeeingIsNotChanging: who came in by another way is asked for the password
// before anything is changed, and not before a report.
func TestSeeingIsNotChanging(t *testing.T) {
	t.Parallel()
	h := in(t)
	h.private.set(func() {
		for _, v := range h.private.tickets {
			v.Via = signer.ViaPIN
		}
	})
	for _, path := range []string{"/mi/correo", "/mi/certificado", "/mi/baja", "/mi/avisos"} {
		h.open(path)
		h.says("/mi/entrar", http.StatusOK, "Escriba su contraseña", "Para cambiar algo hace falta la contraseña.")
	}
	h.open("/mi/perfil")
	h.says("/mi/perfil", http.StatusOK, "Aquí puede mirar", "··· ··· 421")
	h.open("/mi/no-he-sido-yo?firma=MIA")
	h.press("/mi/no-he-sido-yo")
	h.says("/mi/incidencias", http.StatusOK, "Hemos recibido su aviso", "Solicitud MIA")
}

func TestOwnSignatures(t *testing.T) {
	t.Parallel()
	h := in(t)
	h.open("/mi/firmas")
	h.says("/mi/firmas", http.StatusOK, "Trámite 24", "Anteriores")
	if strings.Contains(h.Text(), "Trámite 25") {
		t.Error("got more than a page")
	}
	_, next, _ := strings.Cut(h.page.String(), `rel="next" href="`)
	next, _, _ = strings.Cut(next, `"`)
	h.open(html.UnescapeString(next))
	h.says("/mi/firmas", http.StatusOK, "Trámite 25", "Trámite 49", "Las más recientes")
	h.submit(form{"desde": "2026-01-31", "hasta": "1/2/2026"})
	h.says("/mi/firmas", http.StatusOK, "Quitar los filtros")
	h.open("/mi/firmas?estado=refused&aplicacion=sede&" + h.URL().RawQuery)
	h.says("/mi/firmas", http.StatusOK, "No hay ninguna firma así")
	q := h.private.asked[len(h.private.asked)-1]
	zone := policies.DefaultRules().Zone
	if q.State != signer.Refused || q.Application != "sede" || !q.From.Equal(time.Date(2026, 1, 31, 0, 0, 0, 0, zone)) || !q.To.Equal(time.Date(2026, 2, 2, 0, 0, 0, 0, zone)) {
		t.Errorf("got %+v", q)
	}
	h.submit(form{"desde": "ayer"})
	h.says("/mi/firmas", http.StatusUnprocessableEntity, "Escriba una fecha")
	h.open("/mi/firmas?antes=!!!")
	h.says("/mi/firmas", http.StatusUnprocessableEntity)
	h.open("/mi/firmas/MIA")
	h.says("/mi/firmas/MIA", http.StatusOK, "Le pidieron la firma", "código enviado al ··· ··· 421", "Quedó firmado", "entrada 8", "Descargar para leer")
}

func TestOwnEmail(t *testing.T) {
	t.Parallel()
	h := in(t)
	h.open("/mi/correo/codigo") // not before there is an address
	h.says("/mi/correo", http.StatusOK, "ana@example.es")
	h.submit(form{"new_email": "nueva@"})
	h.says("/mi/correo", http.StatusUnprocessableEntity)
	h.submit(form{"new_email": "nueva@example.es"})
	h.says("/mi/correo/codigo", http.StatusOK, "¿Qué código le ha llegado para cambiar su correo?")
	h.submit(form{"code": wrongCode})
	h.says("/mi/correo/codigo", http.StatusUnprocessableEntity, "El código no coincide")
	h.submit(form{"code": rightCode})
	h.says("/mi/correo/enviado", http.StatusOK, "Mire su correo", "seguimos usando el correo de antes")
	if h.private.email != "nueva@example.es" {
		t.Errorf("got %q", h.private.email)
	}
	for _, place := range []string{h.seen.String(), h.logged.String()} {
		if strings.Contains(place, "correo=nueva") {
			t.Error("got the address in an address of a page")
		}
	}
}

// TestLink: opening a link changes nothing, pressing its button does, once.
func TestLink(t *testing.T) {
	t.Parallel()
	h := newOwnHouse(t)
	link := citizen.NewLink()
	h.private.pending[string(link.Hash())] = citizen.PendingPassword
	h.open("/enlace?clave=" + link.Encode())
	h.says("/enlace", http.StatusOK, "¿Quiere cambiar su contraseña?")
	if len(h.private.pending) != 1 {
		t.Error("got the change made by opening the link")
	}
	h.press("/enlace")
	h.says("/enlace/hecho", http.StatusOK, "Ha cambiado su contraseña")
	for _, path := range []string{"/enlace?clave=" + link.Encode(), "/enlace", "/enlace?clave=x"} {
		h.open(path)
		if h.Status() < 400 || h.Status() >= 500 {
			t.Errorf("%s: got %d, want a refusal", path, h.Status())
		}
	}
	if strings.Contains(h.logged.String(), link.Encode()) {
		t.Error("got the link's secret in the log")
	}
}

// TestPasswordWaits tells that the change waits for the link.
func TestPasswordWaits(t *testing.T) {
	t.Parallel()
	h := newOwnHouse(t)
	h.far.waits = true
	h.open("/contrasena")
	h.submit(form{"identifier": identifier, "password_now": present})
	h.submit(form{"code": rightCode})
	h.submit(form{"password_new": next, "password_again": next})
	h.says("/contrasena/enviado", http.StatusOK, "Mire su correo", "vale la contraseña de antes")
}

func TestDeparture(t *testing.T) {
	t.Parallel()
	h := in(t)
	h.open("/mi/baja/hecho")
	h.says("/mi/baja", http.StatusOK, "Perderá su certificado de firma", "Se revoca", "No se puede deshacer", "conserva su validez")
	h.press("/mi/baja")
	h.says("/mi/baja/codigo", http.StatusOK, "¿Qué código le ha llegado para darse de baja?", "No se puede deshacer")
	if h.private.left {
		t.Error("got somebody deregistered before the code")
	}
	h.submit(form{"code": rightCode})
	h.says("/mi/baja/hecho", http.StatusOK, "Se ha dado de baja")
	h.open("/mi/perfil")
	h.says("/mi/entrar", http.StatusOK)
}

func TestAssociation(t *testing.T) {
	t.Parallel()
	h := in(t)
	h.open("/mi/certificado/codigo")
	h.says("/mi/certificado", http.StatusOK, "No tiene ningún certificado asociado")
	h.private.associate = &citizen.Association{Subject: "CN=ANA", Issuer: "CN=CA", Serial: "0a", NotAfter: time.Now().Add(-time.Hour)}
	h.private.set(func() {
		for _, v := range h.private.tickets {
			v.Citizen.Associated = []byte{1}
		}
	})
	h.open("/mi/certificado")
	h.says("/mi/certificado", http.StatusOK, "CN=ANA", "Caducado", "¿Confirma que quiere quitar el certificado")
	h.press("/mi/certificado")
	h.says("/mi/certificado/codigo", http.StatusOK, "¿Qué código le ha llegado para quitar el certificado?")
	h.submit(form{"code": rightCode})
	h.says("/mi/hecho", http.StatusOK, "ya no está asociado")
	if h.private.associate != nil {
		t.Error("got the certificate still there")
	}
}

func TestOwnNotices(t *testing.T) {
	t.Parallel()
	h := in(t)
	h.open("/mi/avisos")
	h.submit(form{"avisos": "pigeon"})
	h.says("/mi/avisos", http.StatusUnprocessableEntity)
	h.submit(form{"avisos": "both"})
	h.says("/mi/hecho", http.StatusOK, "Sus avisos están guardados")
	if h.private.notices != signer.NoticesBoth {
		t.Errorf("got %s", h.private.notices)
	}
	h.open("/mi/avisos")
	h.submit(form{"guard": "0000", "avisos": "none"})
	h.says("/mi/entrar", http.StatusOK)
	if h.private.notices != signer.NoticesBoth {
		t.Error("got a form of another site accepted")
	}
}

// TestOwnData hands all of it over, however much there is.
func TestOwnData(t *testing.T) {
	t.Parallel()
	h := in(t)
	h.open("/mi/registro")
	h.says("/mi/registro", http.StatusOK, "Su registro permite crear certificados", "Hay otra forma de leerla", "forma más estricta")
	h.open("/mi/datos")
	h.says("/mi/datos", http.StatusOK, "Gijón", "Descargar todos mis datos")
	h.open("/mi/datos/mis-datos.json")
	_, content, _ := strings.Cut(h.page.String(), "\n") // after the witness's line
	var data struct {
		Person     map[string]any   `json:"person"`
		Signatures []map[string]any `json:"signatures"`
		Log        []map[string]any `json:"log"`
	}
	if err := json.Unmarshal([]byte(content), &data); err != nil {
		t.Fatalf("reading %s: %v", content, err)
	}
	if data.Person["identifier"] != identifier || len(data.Signatures) != 60 || len(data.Log) != 5 {
		t.Errorf("got %v, %d signatures and %d entries, want 60 and 5", data.Person, len(data.Signatures), len(data.Log))
	}
	h.open("/mi")
	h.press("/mi/salir")
	h.says("/", http.StatusOK)
	h.open("/mi/datos")
	h.says("/mi/entrar", http.StatusOK)
}
