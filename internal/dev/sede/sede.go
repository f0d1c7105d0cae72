// Package sede is the demonstration of a back end: the sede electrónica of a
// town that does not exist, which asks the signing service for signatures over
// its public API as any administration would, and shows what it gets.
package sede

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	s := &Sede{config: c, service: service, archive: archive{dir}, pages: pages}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("POST /solicitud", s.ask)
	mux.HandleFunc("GET /vuelta", s.back)
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

type homeView struct {
	Inbox, Service string
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

// ask turns the form into a signature request and sends the citizen to sign.
func (s *Sede) ask(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	if err := r.ParseMultipartForm(maxUpload); err != nil { //nolint:gosec // bounded by the line above
		s.refuse(w, r, &client.Problem{Title: "El formulario no se ha podido leer", Remedy: new("Adjunte un documento de menos de 20 MB.")})
		return
	}
	v := s.homeView(r)
	name, content, err := document(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	order, err := s.order(r.Context(), v, name, content)
	if err == nil {
		err = s.request(w, r, v, order, content)
	}
	if problem, ok := errors.AsType[*client.Problem](err); ok {
		s.refuse(w, r, problem)
		return
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// inline is the largest document that stands in the request itself.
const inline = 4 << 20

// order is the document as the form wants it signed. A large one is uploaded
// first.
func (s *Sede) order(ctx context.Context, v homeView, name string, content []byte) (client.NewDocument, error) {
	d := client.NewDocument{Name: name, MediaType: mediaType(name), Format: v.Format, Level: &v.Level}
	if v.Stamp && v.Format == client.Pades {
		d.Signature = &client.SignatureOptions{Stamp: &client.Stamp{Place: new(client.BottomRight)}}
	}
	if len(content) <= inline {
		d.Content = &content
		return d, nil
	}
	answer, err := s.service.UploadDocumentWithBodyWithResponse(ctx, "application/octet-stream", bytes.NewReader(content))
	if err = client.Check(answer, err); err != nil {
		return d, err
	}
	d.Upload = &answer.JSON201.ID
	return d, nil
}

// request asks for the signature and sends the citizen to sign.
func (s *Sede) request(w http.ResponseWriter, r *http.Request, v homeView, order client.NewDocument, content []byte) error {
	answer, err := s.service.CreateSignatureRequestWithResponse(r.Context(),
		&client.CreateSignatureRequestParams{IdempotencyKey: rand.Text()},
		client.NewSignatureRequest{
			Signer:    client.Signer{Identifier: strings.ToUpper(strings.NewReplacer(" ", "", "-", "", ".", "").Replace(v.Identifier))},
			ReturnURL: ReturnURL(s.config.Self),
			Title:     v.Title,
			Locale:    new("es"),
			Documents: []client.NewDocument{order},
		})
	if err = client.Check(answer, err); err != nil {
		return err
	}
	request := answer.JSON201
	err = s.archive.add(record{
		ID: request.ID, Title: v.Title, Signer: v.Identifier, Name: order.Name, Format: v.Format, AskedAt: time.Now(),
	}, content)
	if err != nil {
		return err
	}
	http.Redirect(w, r, request.SigningURL, http.StatusSeeOther)
	return nil
}

// document is what was uploaded, or the sample.
func document(r *http.Request) (name string, content []byte, err error) {
	file, header, err := r.FormFile("document")
	if errors.Is(err, http.ErrMissingFile) {
		name, content := Sample()
		return name, content, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading the upload: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err = io.ReadAll(file)
	if err != nil {
		return "", nil, fmt.Errorf("reading the upload: %w", err)
	}
	return filepath.Base(header.Filename), content, nil
}

func mediaType(name string) string {
	if kind := mime.TypeByExtension(filepath.Ext(name)); kind != "" {
		return kind
	}
	return "application/octet-stream"
}

type resultView struct {
	Inbox     string
	Record    record
	Request   *client.SignatureRequest
	Signed    bool
	Documents []resultDocument
}

type resultDocument struct {
	client.Document
	FileName string
	Size     string
	Verdict  verdict
}

// back is the return address. What the query says of the state is a hint for
// the impatient; the truth is asked of the service.
func (s *Sede) back(w http.ResponseWriter, r *http.Request) {
	rec, contentFile, err := s.archive.get(r.FormValue("request"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer, err := s.service.GetSignatureRequestWithResponse(r.Context(), rec.ID, nil)
	if err := client.Check(answer, err); err != nil {
		s.fail(w, r, err)
		return
	}
	request := answer.JSON200
	v := resultView{Inbox: s.config.Inbox, Record: rec, Request: request, Signed: request.State == client.Signed}
	for _, d := range request.Documents {
		if !v.Signed {
			break
		}
		signed, err := s.signed(r.Context(), rec.ID, d.Ordinal)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		says, err := verify(r.Context(), d.Format, signed, contentFile, s.config.RootFile)
		if err != nil {
			s.config.Logger.WarnContext(r.Context(), "verifying a signed document", "error", err)
			says = verdict{Program: "—", Says: "No se ha podido comprobar: " + err.Error()}
		}
		v.Documents = append(v.Documents, resultDocument{
			Document: d, FileName: signedName(d.Name, d.Format), Size: kilobytes(len(signed)), Verdict: says,
		})
	}
	s.render(w, r, http.StatusOK, "result.html", v)
}

func (s *Sede) signed(ctx context.Context, id string, ordinal int) ([]byte, error) {
	answer, err := s.service.GetSignedDocumentWithResponse(ctx, id, ordinal)
	if err := client.Check(answer, err); err != nil {
		return nil, fmt.Errorf("fetching a signed document: %w", err)
	}
	return answer.Body, nil
}

func (s *Sede) download(w http.ResponseWriter, r *http.Request) {
	rec, _, err := s.archive.get(r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	ordinal, err := strconv.Atoi(r.PathValue("ordinal"))
	if err != nil {
		s.fail(w, r, errUnknown)
		return
	}
	signed, err := s.signed(r.Context(), rec.ID, ordinal)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	name := signedName(rec.Name, rec.Format)
	w.Header().Set("Content-Type", mediaType(name))
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	_, _ = w.Write(signed) // the reader is gone if it fails
}

func signedName(name string, format client.Format) string {
	switch stem := strings.TrimSuffix(name, filepath.Ext(name)); format {
	case client.Pades:
		return stem + "-firmado.pdf"
	case client.CadesDetached:
		return name + ".p7s"
	default:
		return name + ".p7m"
	}
}

func kilobytes(n int) string { return fmt.Sprintf("%d KB", (n+1023)/1024) }

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
		"pending": "Pendiente de firma", "signing": "Firmándose", "signed": "Firmada", "refused": "Rechazada", "expired": "Caducada",
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
