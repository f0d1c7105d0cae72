// Package sede is the demonstration of a back end: the sede electrónica of a
// town that does not exist, which asks the signing service for signatures over
// its public API as any administration would, and shows what it gets.
package sede

import (
	"bytes"
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
	Self     string // this sede, as browsers reach it
	Inbox    string // the development inbox, for a link
	Client   Client
	Dir      string // where requests are filed
	RootFile string // the service's root certificate (PEM), may not exist
	Logger   *slog.Logger
}

// maxUpload is beyond what the service takes, so that its refusal is seen.
const maxUpload = 26 << 20

// Sede is an http.Handler.
type Sede struct {
	config  Config
	service *service
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
		"formatName": func(format string) string { return formats()[format] },
		"date":       func(t time.Time) string { return t.Local().Format("02/01/2006 15:04") },
	}).ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the pages: %w", err)
	}
	s := &Sede{
		config:  c,
		service: &service{base: c.Service, client: c.Client, http: &http.Client{Timeout: time.Minute}},
		archive: archive{dir},
		pages:   pages,
	}
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

func formats() map[string]string {
	return map[string]string{
		"pades":          "PAdES, dentro del PDF",
		"cades-detached": "CAdES, en un fichero aparte",
		"cades-attached": "CAdES, con el documento dentro",
	}
}

type homeView struct {
	Inbox, Service string
	Identifier     string
	Title          string
	Format         string
	Problem        *Refusal
	Latest         []record
}

func (s *Sede) home(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "home.html", s.homeView(r))
}

func (s *Sede) homeView(r *http.Request) homeView {
	v := homeView{
		Inbox: s.config.Inbox, Service: s.config.Service, Latest: s.archive.latest(8),
		Identifier: r.FormValue("identifier"), Title: r.FormValue("title"), Format: r.FormValue("format"),
	}
	if v.Format == "" {
		v.Format = "pades"
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
		s.refuse(w, r, Refusal{Title: "El formulario no se ha podido leer", Remedy: "Adjunte un documento de menos de 20 MB."})
		return
	}
	v := s.homeView(r)
	name, content, err := document(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, err := s.service.create(r.Context(), rand.Text(), order{
		Signer:    orderSigner{Identifier: strings.ToUpper(strings.NewReplacer(" ", "", "-", "", ".", "").Replace(v.Identifier))},
		ReturnURL: ReturnURL(s.config.Self),
		Title:     v.Title,
		Locale:    "es",
		Documents: []orderDocument{{Name: name, MediaType: mediaType(name), Format: v.Format, Content: content}},
	})
	var problem *ProblemError
	switch {
	case errors.As(err, &problem):
		s.refuse(w, r, problem.Refusal)
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	if request.SigningURL == "" && len(request.Refusals) > 0 {
		s.refuse(w, r, request.Refusals[0])
		return
	}
	err = s.archive.add(record{
		ID: request.ID, Title: v.Title, Signer: v.Identifier, Name: name, Format: v.Format, AskedAt: time.Now(),
	}, content)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, request.SigningURL, http.StatusSeeOther)
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
	Request   Request
	Signed    bool
	Documents []resultDocument
}

type resultDocument struct {
	Document
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
	request, err := s.service.get(r.Context(), rec.ID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := resultView{Inbox: s.config.Inbox, Record: rec, Request: request, Signed: request.State == "signed"}
	for i, d := range request.Documents {
		if !v.Signed {
			break
		}
		if d.Ordinal == 0 && i > 0 {
			d.Ordinal = i
		}
		signed, err := s.service.signed(r.Context(), rec.ID, d.Ordinal)
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
	signed, err := s.service.signed(r.Context(), rec.ID, ordinal)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	name := signedName(rec.Name, rec.Format)
	w.Header().Set("Content-Type", mediaType(name))
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	_, _ = w.Write(signed) // the reader is gone if it fails
}

func signedName(name, format string) string {
	switch stem := strings.TrimSuffix(name, filepath.Ext(name)); format {
	case "pades":
		return stem + "-firmado.pdf"
	case "cades-detached":
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
func (s *Sede) refuse(w http.ResponseWriter, r *http.Request, problem Refusal) {
	v := s.homeView(r)
	v.Problem = &problem
	s.render(w, r, http.StatusUnprocessableEntity, "home.html", v)
}

func (s *Sede) fail(w http.ResponseWriter, r *http.Request, err error) {
	var problem *ProblemError
	switch {
	case errors.Is(err, errUnknown):
		s.render(w, r, http.StatusNotFound, "problem.html", Refusal{Title: "No conocemos ese expediente", Remedy: "Vuelva al inicio y presente una solicitud."})
	case errors.As(err, &problem):
		s.render(w, r, http.StatusBadGateway, "problem.html", problem.Refusal)
	default:
		s.config.Logger.ErrorContext(r.Context(), "answering", "path", r.URL.Path, "error", err)
		s.render(w, r, http.StatusBadGateway, "problem.html", Refusal{Title: "El servicio de firma no responde", Remedy: "Inténtelo de nuevo dentro de un momento."})
	}
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
