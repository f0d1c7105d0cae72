package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"golang.org/x/text/language"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/citizen"
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
	locale, err := parseLocale(order.Locale)
	if err != nil {
		return requests.Submission{}, err
	}
	sub := requests.Submission{Identifier: identifier.String(), Title: order.Title, Locale: locale, ReturnURL: order.ReturnURL}
	for _, document := range order.Documents {
		sub.Documents = append(sub.Documents, requests.Upload{
			Name: document.Name, MediaType: document.MediaType, Format: signer.Format(document.Format), Content: document.Content,
		})
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
	r, err := d.own(c, id)
	if err != nil {
		return err
	}
	body, err := d.encode(c, r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	c.Response().Header().Set("ETag", tag)
	if params.IfNoneMatch != nil && strings.Contains(*params.IfNoneMatch, tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.JSONBlob(http.StatusOK, body)
}

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
	d.site.Patient(c, int64(len(result.Content)))
	c.Response().Header().Set(echo.HeaderContentDisposition, attachment(result.Name))
	return c.Blob(http.StatusOK, result.MediaType, result.Content)
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
	for _, document := range r.Documents {
		out.Documents = append(out.Documents, d.document(r, document))
	}
	messages := d.site.Messages(c)
	for _, obstacle := range obstacles {
		text := messages.Refusal(obstacle)
		refusal := Refusal{Code: string(obstacle.Code), Title: text.Title, Detail: text.Detail, Remedy: text.Remedy}
		if obstacle.Source != "" {
			refusal.Source = &obstacle.Source
		}
		out.Refusals = append(out.Refusals, refusal)
	}
	return json.Marshal(out)
}

func (d *door) document(r signer.Request, document signer.Document) Document {
	out := Document{
		Ordinal: document.Ordinal, Name: document.Name, Format: Format(document.Format), MediaType: document.MediaType,
		Size: document.Size, Sha256: hex.EncodeToString(document.SHA256),
	}
	if document.Pages > 0 {
		out.Pages = &document.Pages
	}
	if r.State == signer.Signed {
		out.SignedURL = new(d.site.URL(fmt.Sprintf("%s/documents/%d/signed", pathOf(r.ID), document.Ordinal)))
	}
	return out
}

func pathOf(requestID string) string { return "/v1/signature-requests/" + requestID }
