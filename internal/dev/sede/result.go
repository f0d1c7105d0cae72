package sede

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

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
	request, err := s.current(r.Context(), rec)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := resultView{Inbox: s.config.Inbox, Record: rec, Request: request, Signed: request.State == client.Signed}
	for _, d := range request.Documents {
		if !v.Signed {
			break
		}
		signed, err := s.signed(r.Context(), rec, d.Ordinal)
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

// current is how a request stands. What was signed by the other door is signed:
// that door knows of no later.
func (s *Sede) current(ctx context.Context, rec record) (*client.SignatureRequest, error) {
	if rec.Door == throughConsortium {
		return &client.SignatureRequest{
			ID: rec.ID, State: client.Signed, Title: rec.Title, Documents: []client.Document{{Ordinal: 1, Name: rec.Name, Format: rec.Format}},
		}, nil
	}
	answer, err := s.service.GetSignatureRequestWithResponse(ctx, rec.ID, nil)
	if err := client.Check(answer, err); err != nil {
		return nil, err
	}
	return answer.JSON200, nil
}

func (s *Sede) signed(ctx context.Context, rec record, ordinal int) ([]byte, error) {
	if rec.Door == throughConsortium {
		return s.archive.signed(rec.ID)
	}
	answer, err := s.service.GetSignedDocumentWithResponse(ctx, rec.ID, ordinal)
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
	request, err := s.current(r.Context(), rec)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	at := slices.IndexFunc(request.Documents, func(d client.Document) bool { return strconv.Itoa(d.Ordinal) == r.PathValue("ordinal") })
	if at < 0 {
		s.fail(w, r, errUnknown)
		return
	}
	document := request.Documents[at]
	signed, err := s.signed(r.Context(), rec, document.Ordinal)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	name := signedName(document.Name, document.Format)
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
