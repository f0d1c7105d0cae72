package pages_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/api/requests"
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
	consents  []signer.ServiceConsent
	notices   signer.Notices
	pending   map[string]citizen.PendingKind
	email     string
	log       []citizen.LogEntry
	left      bool
	kept      []int // documents that are still there
	stale     bool  // nobody was identified just now
	taken     []string
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

func (p *private) LiveConsents(_ context.Context, id string, _ time.Time) ([]signer.ServiceConsent, error) {
	p.mine(id)
	return p.consents, nil
}

func (p *private) WithdrawConsent(_ context.Context, _ signer.Ticket, applicationID string) error {
	before := len(p.consents)
	p.consents = slices.DeleteFunc(p.consents, func(c signer.ServiceConsent) bool { return c.Application.ID == applicationID })
	if len(p.consents) == before {
		return policies.Refuse(policies.NotFound)
	}
	return nil
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

func (p *private) AwaitedLink(_ context.Context, id string, _ citizen.PendingKind, _ time.Time) (time.Duration, error) {
	p.mine(id)
	return 90 * time.Minute, nil
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

func (p *private) Leave(_ context.Context, t signer.Ticket, everywhere bool) error {
	p.set(func() {
		for hash, v := range p.tickets {
			if v.Purpose == signer.ForAccess && (everywhere || hash == string(t.Hash())) {
				delete(p.tickets, hash)
			}
		}
	})
	return nil
}

func (p *private) KeptDocuments(context.Context, string) ([]int, error) { return p.kept, nil }

func (p *private) TakeDocument(_ context.Context, _ signer.Ticket, requestID string, ordinal int) error {
	if p.stale {
		return policies.Refuse(policies.SessionExpired)
	}
	p.taken = append(p.taken, fmt.Sprint(requestID, " ", ordinal))
	return nil
}

func (core) Result(_ context.Context, r signer.Request, ordinal int) (requests.Result, error) {
	if ordinal > len(r.Documents) {
		return requests.Result{}, policies.Refuse(policies.NotFound)
	}
	f, err := documents.HeldFile([]byte("signed " + r.ID))
	return requests.Result{Name: "nota-firmada.pdf", MediaType: "application/pdf", File: f}, err
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
	room := pages.OwnRoom{Door: door, Own: p, Profile: p, Certificates: true, PINs: true, Retention: 7 * 24 * time.Hour}
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
		"/mi/datos", "/mi/datos/mis-datos.json", "/mi/avisos", "/mi/correo", "/mi/certificado", "/mi/baja", "/mi/baja/codigo", "/mi/aplicaciones", "/mi/aplicaciones/sede", "/mi/no-he-sido-yo", "/mi/incidencias",
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

// TestOwnSignaturesDates: a date is understood as people write it.
func TestOwnSignaturesDates(t *testing.T) {
	t.Parallel()
	h := in(t)
	want := time.Date(2026, 6, 29, 0, 0, 0, 0, policies.DefaultRules().Zone)
	for _, typed := range []string{"29/06/2026", "29/6/2026", "29-6-2026", "29-06-2026", "29.06.2026", "29062026", "2026/06/29", "2026/6/29", "2026-06-29", " 29/06/2026 "} {
		h.open("/mi/firmas?desde=" + url.QueryEscape(typed))
		h.says("/mi/firmas", http.StatusOK, "Quitar los filtros")
		if q := h.private.asked[len(h.private.asked)-1]; !q.From.Equal(want) {
			t.Errorf("%q: got %s, want %s", typed, q.From, want)
		}
	}
	for _, typed := range []string{"29/06/26", "31/06/2026", "06/29/2026", "29 de junio", "29/06/0026", "2026/29/06"} {
		asked := len(h.private.asked)
		h.open("/mi/firmas?hasta=" + url.QueryEscape(typed))
		h.says("/mi/firmas", http.StatusUnprocessableEntity, "Escriba una fecha")
		if len(h.private.asked) > asked {
			t.Errorf("%q: got %+v asked for, want nothing", typed, h.private.asked[asked:])
		}
	}
}

// TestOwnDocument: a signed document is handed to whoever signed it while it is
// kept and they were identified just now; afterwards it is said who has it.
func TestOwnDocument(t *testing.T) {
	t.Parallel()
	h := in(t)
	h.open("/mi/firmas/MIA")
	h.says("/mi/firmas/MIA", http.StatusOK, "Ya no guardamos el documento firmado: lo tiene Gijón", "con el número de la petición")
	h.private.kept = []int{1}
	h.open("/mi/firmas/MIA")
	h.says("/mi/firmas/MIA", http.StatusOK, "Descargar el documento firmado", "Lo guardamos aquí hasta el")
	h.leads(true, "/mi/firmas/MIA/documentos/1")

	h.private.stale = true
	h.open("/mi/firmas/MIA/documentos/1")
	if got := h.URL().RequestURI(); got != "/mi/entrar?cambiar=1&ir=%2Fmi%2Ffirmas%2FMIA%2Fdocumentos%2F1" {
		t.Errorf("got at %s, want asked for the password", got)
	}
	h.private.stale = false
	h.open("/mi/firmas/MIA/documentos/1")
	if got := strings.TrimSpace(h.page.String()); got != "signed MIA" {
		t.Errorf("got %q, want the signed document", got)
	}
	for _, other := range []string{"/mi/firmas/AJENA/documentos/1", "/mi/firmas/MIA/documentos/2", "/mi/firmas/MIA/documentos/x"} {
		if h.open(other); strings.Contains(h.page.String(), "signed ") {
			t.Errorf("%s: got somebody else's document, or one that there is not", other)
		}
	}
	if diff := cmp.Diff([]string{"MIA 1"}, h.private.taken); diff != "" {
		t.Errorf("written down as taken (-want +got):\n%s", diff)
	}
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
	h.says("/mi/correo/enviado", http.StatusOK, "Mire su correo", "Tiene 1 hora y 30 minutos para abrirlo", "seguimos usando el correo de antes")
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
}

// TestOwnApplications shows what applications may see, and takes it back from one
// of them: with the password, once told what that does.
func TestOwnApplications(t *testing.T) {
	t.Parallel()
	h := in(t)
	h.open("/mi/aplicaciones")
	h.says("/mi/aplicaciones", http.StatusOK, "Ninguna aplicación puede ver")
	consent := func(id, organisation string) signer.ServiceConsent {
		return signer.ServiceConsent{
			Application: signer.Application{ID: id, Name: "Sede", Organisation: organisation}, Scopes: []string{"service"}, GivenAt: time.Now(), Until: time.Now().AddDate(0, 0, 30),
		}
	}
	h.private.set(func() {
		h.private.consents = []signer.ServiceConsent{consent("sede", "Gijón"), consent("otra", "Oviedo")}
	})
	h.open("/mi")
	h.says("/mi", http.StatusOK, "Quién ve mis certificados")
	h.open("/mi/datos/mis-datos.json")
	if text := h.page.String(); !strings.Contains(text, `"applications": [`) || !strings.Contains(text, `"organisation":"Oviedo"`) {
		t.Errorf("the exported data lack what applications may see: %s", text)
	}
	h.open("/mi/aplicaciones")
	h.says("/mi/aplicaciones", http.StatusOK, "Gijón", "Oviedo", "qué certificados de firma tiene usted")
	h.open("/mi/aplicaciones/nadie")
	if h.Status() != http.StatusNotFound {
		t.Errorf("an application that sees nothing: got %d, want 404", h.Status())
	}
	h.open("/mi/aplicaciones/sede")
	h.says("/mi/aplicaciones/sede", http.StatusOK, "Gijón", "no podrá ver sus certificados", "sigue valiendo")
	h.press("/mi/aplicaciones/sede")
	h.says("/mi/aplicaciones", http.StatusOK, "El permiso está retirado", "Oviedo")
	if strings.Contains(h.Text(), "Gijón") || len(h.private.consents) != 1 {
		t.Errorf("got %v left, want that of Oviedo alone", h.private.consents)
	}
}

// TestLeave: a session that was left is over where it is kept, and not only in
// the browser that left it.
func TestLeave(t *testing.T) {
	t.Parallel()
	h := in(t)
	for _, path := range []string{"/mi/salir", "/mi/salir/todas"} {
		before := len(h.private.tickets)
		h.open("/mi/perfil")
		h.press(path)
		h.says("/", http.StatusOK)
		if got := len(h.private.tickets); got != before-1 {
			t.Errorf("%s: got %d sessions, want %d", path, got, before-1)
		}
		h.open("/mi/datos")
		h.says("/mi/entrar", http.StatusOK)
		h.submit(form{"identifier": identifier, "password": present})
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	post := func(path string, fields url.Values, tell func(*http.Request)) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+path, strings.NewReader(fields.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		tell(r)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	post("/mi/entrar", url.Values{"identifier": {identifier}, "password": {present}}, func(*http.Request) {})
	for name, tell := range map[string]func(*http.Request){
		"another origin": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"no guard":       func(*http.Request) {},
	} {
		before := len(h.private.tickets)
		if post("/mi/salir", nil, tell); len(h.private.tickets) != before || before == 0 {
			t.Errorf("%s: the session was ended", name)
		}
	}
}
