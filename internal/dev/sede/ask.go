package sede

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

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
	if v.Door == throughConsortium {
		err = s.askConsortium(w, r, v, content)
	} else {
		err = s.askREST(w, r, v, sheet{name, content})
	}
	if problem, ok := errors.AsType[*client.Problem](err); ok {
		s.refuse(w, r, problem)
		return
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// sheet is a document to be signed.
type sheet struct {
	name    string
	content []byte
}

// askREST asks by the service's own interface, for one document or for two.
func (s *Sede) askREST(w http.ResponseWriter, r *http.Request, v homeView, d sheet) error {
	order, err := s.order(r.Context(), v, d.name, d.content)
	if err != nil {
		return err
	}
	orders := []client.NewDocument{order}
	if v.Door == severalAtOnce {
		annex := []byte("Anexo de «" + v.Title + "»: declaro que los datos son ciertos.\n")
		orders = append(orders, client.NewDocument{
			Name: "anexo.txt", MediaType: "text/plain; charset=utf-8", Format: client.CadesAttached, Level: &v.Level, Content: &annex,
		})
	}
	return s.request(w, r, v, orders, d.content)
}

// askConsortium asks by the other door, which signs PDFs here.
func (s *Sede) askConsortium(w http.ResponseWriter, r *http.Request, v homeView, content []byte) error {
	if !bytes.HasPrefix(content, []byte("%PDF-")) {
		return &client.Problem{Title: "Por esta puerta esta sede firma solo PDF", Remedy: new("Adjunte un PDF, o elija la interfaz propia.")}
	}
	address, err := s.other.begin(r.Context(), record{
		ID: rand.Text(), Title: v.Title, Signer: normal(v.Identifier), Name: "solicitud.pdf", Format: client.Pades,
		AskedAt: time.Now(), Door: throughConsortium,
	}, content)
	if err != nil {
		return err
	}
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// backFromConsortium fetches the signature and files it: nobody else keeps it.
func (s *Sede) backFromConsortium(w http.ResponseWriter, r *http.Request) {
	j, signed, err := s.other.finish(r.Context(), r.URL.Query())
	if errors.Is(err, errStrayed) {
		err = errUnknown
	}
	if err == nil {
		err = s.archive.add(j.record, j.content)
	}
	if err == nil {
		err = s.archive.sign(j.record.ID, signed)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/vuelta?request="+j.record.ID, http.StatusSeeOther)
}

type noticesView struct {
	Address string
	Notices []notice
}

func (s *Sede) listNotices(w http.ResponseWriter, r *http.Request) {
	all := s.notices.latest()
	for i := range all {
		_, _, err := s.archive.get(all[i].Event.RequestID)
		all[i].Known = err == nil
	}
	s.render(w, r, http.StatusOK, "notices.html", noticesView{NoticeURL(s.config.Self), all})
}

// events are the kinds of webhooks as citizens' offices say them.
func events() map[string]string {
	return map[string]string{
		"signature_request.signed": "Firmada", "signature_request.refused": "Rechazada", "signature_request.expired": "Caducada",
		"signature_request.interrupted": "Interrumpida", "signature_request.level_reached": "Nivel alcanzado",
		"signature_request.withdrawn": "Retirada", "envelope.completed": "Todos han firmado", "envelope.rejected": "Alguien lo ha rechazado",
		"envelope.expired": "Alguien no ha firmado a tiempo", "envelope.cancelled": "Anulada, sin esperar a todos",
	}
}

func normal(identifier string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "", ".", "").Replace(identifier))
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
func (s *Sede) request(w http.ResponseWriter, r *http.Request, v homeView, orders []client.NewDocument, content []byte) error {
	answer, err := s.service.CreateSignatureRequestWithResponse(r.Context(),
		&client.CreateSignatureRequestParams{IdempotencyKey: rand.Text()},
		client.NewSignatureRequest{
			Signer:    client.Signer{Identifier: normal(v.Identifier)},
			ReturnURL: ReturnURL(s.config.Self),
			Title:     v.Title,
			Locale:    new("es"),
			Documents: orders,
		})
	if err = client.Check(answer, err); err != nil {
		return err
	}
	request := answer.JSON201
	err = s.archive.add(record{
		ID: request.ID, Title: v.Title, Signer: v.Identifier, Name: orders[0].Name, Format: v.Format, AskedAt: time.Now(), Door: v.Door,
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
