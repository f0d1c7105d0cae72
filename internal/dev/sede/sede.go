// Package sede is the demonstration of a back end: the sede electrónica of a
// town that does not exist, which asks the signing service for signatures over
// its public API as any administration would, and shows what it gets.
package sede

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

//go:embed pages static
var files embed.FS

//go:embed static/solicitud.pdf
var sample []byte

// Sample is the document that the sede asks to sign when nothing was uploaded.
func Sample() (name string, pdf []byte) { return "solicitud.pdf", sample }

// Config says where the sede and its peers are.
type Config struct {
	Service  string // the signing service
	ID       string // what the sede's registration there gave it
	Secret   string
	Self     string // this sede, as browsers reach it
	Inbox    string // the development inbox, for a link
	Dir      string // where requests are filed
	RootFile string // the service's root certificate (PEM), may not exist
	Logger   *slog.Logger
}

// maxUpload is beyond what the service takes, so that its refusal is seen.
const maxUpload = 26 << 20

// Sede is an http.Handler.
type Sede struct {
	config  Config
	service *client.ClientWithResponses
	other   *consortium
	notices *notices
	archive archive
	pages   *template.Template
	handler http.Handler
}

// New makes the sede.
func New(c Config) (*Sede, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the archive: %w", err)
	}
	dir, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the archive: %w", err)
	}
	pages, err := template.New("").Funcs(template.FuncMap{
		"formatName": func(format client.Format) string { return formats()[format] },
		"stateName":  func(state client.State) string { return cmp.Or(states()[state], string(state)) },
		"doorName":   func(door string) string { return doors()[door] },
		"eventName":  func(kind string) string { return cmp.Or(events()[kind], kind) },
		"date":       func(t time.Time) string { return t.In(peninsular()).Format("02/01/2006 15:04") },
	}).ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the pages: %w", err)
	}
	service, err := client.Connect(client.Account{
		BaseURL: c.Service, ID: c.ID, Secret: c.Secret, Scope: "signature", HTTP: &http.Client{Timeout: time.Minute},
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to the signing service: %w", err)
	}
	calls := &http.Client{Timeout: time.Minute}
	s := &Sede{
		config: c, service: service, archive: archive{dir}, pages: pages,
		other: &consortium{config: c, http: calls, waiting: map[string]journey{}}, notices: &notices{config: c, http: calls},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("POST /solicitud", s.ask)
	mux.HandleFunc("GET /vuelta", s.back)
	mux.HandleFunc("GET /vuelta/oauth", s.backFromConsortium)
	mux.HandleFunc("POST /avisos", s.notices.receive)
	mux.HandleFunc("GET /avisos", s.listNotices)
	mux.HandleFunc("GET /expediente/{id}/{ordinal}", s.download)
	mux.HandleFunc("GET /ejemplo.pdf", s.sample)
	mux.Handle("GET /static/", http.FileServerFS(files))
	s.handler = http.NewCrossOriginProtection().Handler(mux)
	return s, nil
}

// ReturnURL is the address that the application registers.
func ReturnURL(self string) string { return self + "/vuelta" }

// ServeHTTP sets what all answers share. The form's address is here, but the
// browser is sent on to the service, and CSP's form-action counts redirects.
func (s *Sede) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "+
		"frame-ancestors 'none'; form-action 'self' "+s.config.Service)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "same-origin")
	s.handler.ServeHTTP(w, r)
}

func formats() map[client.Format]string {
	return map[client.Format]string{
		client.Pades:         "PAdES, dentro del PDF",
		client.CadesDetached: "CAdES, en un fichero aparte",
		client.CadesAttached: "CAdES, con el documento dentro",
	}
}

// The doors through which the sede can ask.
const (
	throughREST       = "rest"
	throughConsortium = "csc"
	severalAtOnce     = "varios"
)

func doors() map[string]string {
	return map[string]string{
		"": "Interfaz propia", throughREST: "Interfaz propia", throughConsortium: "OAuth 2 y CSC v2", severalAtOnce: "Interfaz propia, varios documentos",
	}
}

type homeView struct {
	Inbox, Service string
	Door           string
	Identifier     string
	Title          string
	Format         client.Format
	Level          client.Level
	Stamp          bool
	Problem        *client.Problem
	Latest         []record
}

func (s *Sede) home(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "home.html", s.homeView(r))
}

func (s *Sede) homeView(r *http.Request) homeView {
	v := homeView{
		Inbox: s.config.Inbox, Service: s.config.Service, Latest: s.archive.latest(8),
		Identifier: r.FormValue("identifier"), Title: r.FormValue("title"), Format: client.Format(r.FormValue("format")),
		Level: client.Level(r.FormValue("level")), Stamp: r.FormValue("stamp") != "",
	}
	if _, known := doors()[r.FormValue("door")]; known {
		v.Door = r.FormValue("door")
	}
	v.Door = cmp.Or(v.Door, throughREST)
	if v.Level == "" {
		v.Level = client.LevelLTA
	}
	if v.Format == "" {
		v.Format = client.Pades
	}
	if v.Title == "" {
		v.Title = "Solicitud de ayuda a la rehabilitación de fachadas"
	}
	return v
}

func (s *Sede) sample(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, "static/solicitud.pdf")
}

// refuse shows the form again, with what was typed and what is wrong.
func (s *Sede) refuse(w http.ResponseWriter, r *http.Request, problem *client.Problem) {
	v := s.homeView(r)
	v.Problem = problem
	s.render(w, r, http.StatusUnprocessableEntity, "home.html", v)
}

func (s *Sede) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errUnknown) {
		s.render(w, r, http.StatusNotFound, "problem.html",
			&client.Problem{Title: "No conocemos ese expediente", Remedy: new("Vuelva al inicio y presente una solicitud.")})
		return
	}
	problem, ok := errors.AsType[*client.Problem](err)
	if !ok {
		s.config.Logger.ErrorContext(r.Context(), "answering", "path", r.URL.Path, "error", err)
		problem = &client.Problem{Title: "El servicio de firma no responde", Remedy: new("Inténtelo de nuevo dentro de un momento.")}
	}
	s.render(w, r, http.StatusBadGateway, "problem.html", problem)
}

func (s *Sede) render(w http.ResponseWriter, r *http.Request, status int, name string, view any) {
	var text bytes.Buffer
	if err := s.pages.ExecuteTemplate(&text, name, view); err != nil {
		s.config.Logger.ErrorContext(r.Context(), "making a page", "page", name, "error", err)
		http.Error(w, "La página no se ha podido generar.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = text.WriteTo(w) // the reader is gone if it fails
}

// states are a request's states as citizens say them.
func states() map[client.State]string {
	return map[client.State]string{
		"pending": "Pendiente de firma", "signing": "Firmándose", "signed": "Firmada", "refused": "Rechazada", "expired": "Caducada", "withdrawn": "Retirada",
	}
}

// peninsular is the time that citizens are told.
func peninsular() *time.Location {
	zone, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		return time.Local
	}
	return zone
}
