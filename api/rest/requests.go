package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/text/language"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const idempotencyKey = "Idempotency-Key"

// needsKey asks for an idempotency key before the body is read.
func needsKey(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		switch key := c.Request().Header.Get(idempotencyKey); {
		case key == "":
			return policies.Refuse(policies.IdempotencyKeyMissing)
		case !printable(key):
			return malformed(idempotencyKey)
		}
		return next(c)
	}
}

// CreateSignatureRequest implements ServerInterface.
func (d *door) CreateSignatureRequest(c echo.Context, params CreateSignatureRequestParams) error {
	var order NewSignatureRequest
	hash, err := decode(c, &order)
	if err != nil {
		return err
	}
	sub, err := submission(order)
	if err != nil {
		return err
	}
	sub.Client, sub.IdempotencyKey, sub.BodyHash = api.ClientOf(c), params.IdempotencyKey, hash
	r, err := d.Requests.Submit(c.Request().Context(), sub)
	if err != nil {
		return err
	}
	body, err := d.encode(c, r)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, d.site.URL(pathOf(r.ID)))
	return c.JSONBlob(http.StatusCreated, body)
}

// submission parses what was asked. The rules about it are the core's.
func submission(order NewSignatureRequest) (requests.Submission, error) {
	identifier, err := citizen.ParseIdentifier(order.Signer.Identifier)
	if err != nil {
		return requests.Submission{}, err
	}
	sub, err := shared(order.Title, order.ReturnURL, order.Locale, order.Details, order.Documents)
	sub.Identifier, sub.ExpiresAt = identifier.String(), value(order.ExpiresAt)
	return sub, err
}

// shared parses what is asked of one signer as of several.
func shared(title, returnURL string, language *string, details *[]Detail, documents []NewDocument) (requests.Submission, error) {
	locale, err := parseLocale(language)
	if err != nil {
		return requests.Submission{}, err
	}
	sub := requests.Submission{Title: title, Locale: locale, ReturnURL: returnURL}
	for _, detail := range value(details) {
		sub.Particulars = append(sub.Particulars, signer.Particular{Label: detail.Label, Value: detail.Value})
	}
	for i, document := range documents {
		upload, err := parseDocument(document, fmt.Sprintf("/documents/%d", i))
		if err != nil {
			return requests.Submission{}, err
		}
		sub.Documents = append(sub.Documents, upload)
	}
	return sub, nil
}

// parseLocale reads a BCP 47 tag, Spanish if there is none.
func parseLocale(s *string) (string, error) {
	if s == nil {
		return language.Spanish.String(), nil
	}
	tag, err := language.Parse(*s)
	if err != nil || len(*s) > 35 {
		return "", malformed("/locale")
	}
	return tag.String(), nil
}

// GetSignatureRequest implements ServerInterface.
func (d *door) GetSignatureRequest(c echo.Context, id RequestID, params GetSignatureRequestParams) error {
	return d.watch(c, value(params.Wait), value(params.IfNoneMatch), func() ([]byte, error) {
		r, err := d.own(c, id)
		if err != nil {
			return nil, err
		}
		return d.encode(c, r)
	})
}

// watch answers with what look sees, once it is something else than what the
// caller knows already; with 304 if it is not for so many seconds.
func (d *door) watch(c echo.Context, wait int, known string, look func() ([]byte, error)) error {
	patience := time.Duration(wait) * time.Second
	if patience < 0 || patience > longestWait {
		return malformed("wait")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), patience)
	defer cancel()
	d.site.Waiting(c, patience)
	for {
		body, err := look()
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		tag := `"` + hex.EncodeToString(sum[:16]) + `"`
		c.Response().Header().Set("ETag", tag)
		if !strings.Contains(known, tag) {
			return c.JSONBlob(http.StatusOK, body)
		}
		select {
		case <-ctx.Done():
			return c.NoContent(http.StatusNotModified)
		case <-time.After(pace):
		}
	}
}

const (
	longestWait = time.Minute
	// pace is how often a request that somebody waits for is looked at: who waits
	// for a person does not notice.
	pace = time.Second
)

// GetSignedDocument implements ServerInterface.
func (d *door) GetSignedDocument(c echo.Context, id RequestID, ordinal int) error {
	r, err := d.own(c, id)
	if err != nil {
		return err
	}
	result, err := d.Requests.Result(c.Request().Context(), r, ordinal)
	if err != nil {
		return err
	}
	return d.send(c, result)
}

// send streams a signed document, and closes it.
func (d *door) send(c echo.Context, result requests.Result) error {
	defer result.File.Close()
	d.site.Patient(c, result.File.Size())
	header := c.Response().Header()
	header.Set(echo.HeaderContentDisposition, attachment(result.Name))
	header.Set(echo.HeaderContentLength, strconv.FormatInt(result.File.Size(), 10))
	header.Set(levelHeader, string(result.Level))
	header.Set(echo.HeaderContentType, result.MediaType)
	// net/http hands a file to the kernel; Echo's writer is in its way.
	response := c.Response()
	response.WriteHeader(http.StatusOK)
	sent, err := result.File.WriteTo(response.Writer)
	response.Size += sent
	return err
}

// levelHeader says what the signature that is sent has.
const levelHeader = "Rubrica-Signature-Level"

// UploadDocument implements ServerInterface.
func (d *door) UploadDocument(c echo.Context) error {
	if kind, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType)); err != nil || kind != echo.MIMEOctetStream {
		return malformed(echo.HeaderContentType)
	}
	body := &arriving{r: c.Request().Body}
	u, err := d.Requests.Upload(c.Request().Context(), api.ClientOf(c).ID, body)
	if body.broken != nil {
		return body.broken
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, Upload{
		ID: u.ID, Size: u.Size, Sha256: hex.EncodeToString(u.SHA256), ExpiresAt: u.CreatedAt.Add(d.Limits.UploadLife).UTC(),
	})
}

// arriving is a body, and what was wrong with it: a client that breaks off is not
// a fault of ours, as a disk is to which the body cannot be written.
type arriving struct {
	r      io.Reader
	broken error
}

// Read implements io.Reader.
func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		a.broken = unreadable(err)
	}
	return n, err
}

// ofAtMost has a route say how much it takes, where the body is refused before
// the core sees it.
func ofAtMost(limit int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			if errors.Is(err, policies.Refuse(policies.DocumentTooLarge)) {
				return requests.TooLarge(limit)
			}
			return err
		}
	}
}

// own reads a request of the calling application. Another's does not exist
// for it.
func (d *door) own(c echo.Context, id string) (signer.Request, error) {
	if !printable(id) {
		return signer.Request{}, policies.Refuse(policies.RequestUnknown)
	}
	r, err := d.Store.Request(c.Request().Context(), id)
	if err != nil {
		return signer.Request{}, err
	}
	if r.Application.ID != api.ClientOf(c).ID {
		return signer.Request{}, policies.Refuse(policies.RequestUnknown)
	}
	return r, nil
}

// encode says how a request stands, as JSON.
func (d *door) encode(c echo.Context, r signer.Request) ([]byte, error) {
	obstacles, err := d.Requests.Preflight(c.Request().Context(), r)
	if err != nil {
		return nil, fmt.Errorf("looking ahead: %w", err)
	}
	out := SignatureRequest{
		ID: r.ID, State: State(r.State), Title: r.Title, SigningURL: d.site.URL(d.SigningPath(r.ID)),
		CreatedAt: r.CreatedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(),
		Documents: make([]Document, 0, len(r.Documents)), Refusals: make([]Refusal, 0, len(obstacles)),
	}
	if !r.ClosedAt.IsZero() {
		out.ClosedAt = new(r.ClosedAt.UTC())
	}
	if r.Envelope != "" {
		out.EnvelopeID = &r.Envelope
	}
	messages := d.site.Messages(c)
	out.Rejected = d.rejected(r, messages)
	if len(r.Particulars) > 0 {
		details := make([]Detail, len(r.Particulars))
		for i, p := range r.Particulars {
			details[i] = Detail{Label: p.Label, Value: p.Value}
		}
		out.Details = &details
	}
	sent := positions(r)
	for i, document := range r.Documents {
		out.Documents = append(out.Documents, d.document(r, document, messages))
		out.Documents[i].Position = sent[i]
	}
	for _, obstacle := range obstacles {
		out.Refusals = append(out.Refusals, refusal(obstacle, messages))
	}
	return json.Marshal(out)
}

// rejected are the documents of a request that could not be taken in.
func (*door) rejected(r signer.Request, messages *catalogue.Messages) []RejectedDocument {
	out := make([]RejectedDocument, 0, len(r.Rejected))
	for _, rejected := range r.Rejected {
		out = append(out, RejectedDocument{
			Position: rejected.Position, Name: rejected.Name,
			Refusal: refusal(&policies.Refusal{Code: rejected.Code, Params: rejected.Params}, messages),
		})
	}
	return out
}

// positions are those of a request's documents among all that were sent.
func positions(r signer.Request) []int {
	out := make([]int, 0, len(r.Documents))
	for n := 1; len(out) < len(r.Documents); n++ {
		if !slices.ContainsFunc(r.Rejected, func(x signer.Rejected) bool { return x.Position == n }) {
			out = append(out, n)
		}
	}
	return out
}

func refusal(r *policies.Refusal, messages *catalogue.Messages) Refusal {
	text := messages.Refusal(r)
	out := Refusal{Code: string(r.Code), Title: text.Title, Detail: text.Detail, Remedy: text.Remedy}
	if r.Source != "" {
		out.Source = &r.Source
	}
	return out
}

func (d *door) document(r signer.Request, document signer.Document, messages *catalogue.Messages) Document {
	out := Document{
		Ordinal: document.Ordinal, State: State(r.State), Name: document.Name, Format: Format(document.Format), Level: Level(document.Level),
		MediaType: document.MediaType, Size: document.Size, Sha256: hex.EncodeToString(document.SHA256),
		Findings: make([]Finding, 0, len(document.Findings)),
	}
	for _, code := range document.Findings {
		text := messages.Finding(policies.Finding{Code: policies.FindingCode(code)})
		out.Findings = append(out.Findings, Finding{Code: code, Title: text.Title, Detail: text.Detail})
	}
	if document.Pages > 0 {
		out.Pages = &document.Pages
	}
	if r.State == signer.Signed {
		out.LevelReached = new(Level(document.Reached))
		if lacking := requests.Lacking(document); lacking != "" {
			out.LevelMissing = new(refusal(policies.Refuse(lacking), messages))
		}
		out.SignedURL = new(d.site.URL(fmt.Sprintf("%s/documents/%d/signed", pathOf(r.ID), document.Ordinal)))
	}
	return out
}

func pathOf(requestID string) string { return "/v1/signature-requests/" + requestID }
