package rest

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Envelopes are the core's part about several signers. *requests.Service fulfils
// it.
type Envelopes interface {
	SubmitEnvelope(ctx context.Context, sub requests.EnvelopeSubmission) (signer.Envelope, error)
	CancelEnvelope(ctx context.Context, e signer.Envelope) (signer.Envelope, error)
	EnvelopeResult(ctx context.Context, e signer.Envelope, ordinal int) (requests.Result, error)
}

// CreateEnvelope implements ServerInterface.
func (d *door) CreateEnvelope(c echo.Context, params CreateEnvelopeParams) error {
	var order NewEnvelope
	hash, err := decode(c, &order)
	if err != nil {
		return err
	}
	sub, err := envelopeSubmission(order)
	if err != nil {
		return err
	}
	sub.Client, sub.IdempotencyKey, sub.BodyHash = api.ClientOf(c), params.IdempotencyKey, hash
	e, err := d.Envelopes.SubmitEnvelope(c.Request().Context(), sub)
	if err != nil {
		return err
	}
	body, err := d.encodeEnvelope(c, e)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, d.site.URL(envelopePath(e.ID)))
	return c.JSONBlob(http.StatusCreated, body)
}

// envelopeSubmission parses what was asked. The rules about it are the core's.
func envelopeSubmission(order NewEnvelope) (requests.EnvelopeSubmission, error) {
	shared, err := shared(order.Title, order.ReturnURL, order.Locale, order.Details, order.Documents)
	if err != nil {
		return requests.EnvelopeSubmission{}, err
	}
	shared.ExpiresAt = value(order.ExpiresAt)
	sub := requests.EnvelopeSubmission{Submission: shared, Ordering: signer.Ordering(order.Order)}
	for i, asked := range order.Signers {
		at := fmt.Sprintf("/signers/%d", i)
		identifier, err := citizen.ParseIdentifier(asked.Identifier)
		if err != nil {
			return requests.EnvelopeSubmission{}, err
		}
		locale, err := parseLocale(cmp.Or(asked.Locale, order.Locale))
		if err != nil {
			return requests.EnvelopeSubmission{}, malformed(at + "/locale")
		}
		stamp, err := parseStamp(asked.Stamp, at+"/stamp")
		if err != nil {
			return requests.EnvelopeSubmission{}, err
		}
		sub.Signers = append(sub.Signers, requests.EnvelopeSigner{
			Identifier: identifier.String(), Title: value(asked.Title), Locale: locale,
			Options: requests.Options{Reason: value(asked.Reason), Field: value(asked.Field), Stamp: stamp},
		})
	}
	return sub, nil
}

// GetEnvelope implements ServerInterface.
func (d *door) GetEnvelope(c echo.Context, id EnvelopeID, params GetEnvelopeParams) error {
	return d.watch(c, value(params.Wait), value(params.IfNoneMatch), func() ([]byte, error) {
		e, err := d.ownEnvelope(c, id)
		if err != nil {
			return nil, err
		}
		return d.encodeEnvelope(c, e)
	})
}

// CancelEnvelope implements ServerInterface.
func (d *door) CancelEnvelope(c echo.Context, id EnvelopeID) error {
	e, err := d.ownEnvelope(c, id)
	if err != nil {
		return err
	}
	if e, err = d.Envelopes.CancelEnvelope(c.Request().Context(), e); err != nil {
		return err
	}
	body, err := d.encodeEnvelope(c, e)
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, body)
}

// GetEnvelopeDocument implements ServerInterface.
func (d *door) GetEnvelopeDocument(c echo.Context, id EnvelopeID, ordinal int) error {
	e, err := d.ownEnvelope(c, id)
	if err != nil {
		return err
	}
	result, err := d.Envelopes.EnvelopeResult(c.Request().Context(), e, ordinal)
	if err != nil {
		return err
	}
	return d.send(c, result)
}

// ownEnvelope reads an envelope of the calling application. Another's does not
// exist for it.
func (d *door) ownEnvelope(c echo.Context, id string) (signer.Envelope, error) {
	if !printable(id) {
		return signer.Envelope{}, policies.Refuse(policies.RequestUnknown)
	}
	e, err := d.Store.Envelope(c.Request().Context(), id)
	if err != nil {
		return signer.Envelope{}, err
	}
	if e.ApplicationID != api.ClientOf(c).ID {
		return signer.Envelope{}, policies.Refuse(policies.RequestUnknown)
	}
	return e, nil
}

// encodeEnvelope says how an envelope stands, as JSON.
func (d *door) encodeEnvelope(c echo.Context, e signer.Envelope) ([]byte, error) {
	first, err := d.Store.Request(c.Request().Context(), e.Signers[0].RequestID)
	if err != nil {
		return nil, fmt.Errorf("reading the documents of an envelope: %w", err)
	}
	out := Envelope{
		ID: e.ID, State: EnvelopeState(e.State), Order: EnvelopeOrder(e.Ordering), Title: e.Title,
		CreatedAt: e.CreatedAt.UTC(), ExpiresAt: e.ExpiresAt.UTC(), ClosedAt: unlessZero(e.ClosedAt),
		Signers: make([]EnvelopeSignature, 0, len(e.Signers)), Documents: make([]EnvelopeDocument, 0, len(first.Documents)),
		Rejected: d.rejected(first, d.site.Messages(c)),
	}
	for _, s := range e.Signers {
		signature := EnvelopeSignature{Position: s.Position, State: EnvelopeSignerState(cmp.Or(string(s.State), string(SignerWaiting)))}
		if s.RequestID != "" {
			signature.RequestID = new(s.RequestID)
		}
		if s.State == signer.Pending {
			signature.SigningURL = new(d.site.URL(d.SigningPath(s.RequestID)))
		}
		out.Signers = append(out.Signers, signature)
	}
	signed, sent := len(e.Signed()), positions(first)
	for i, document := range first.Documents {
		told := EnvelopeDocument{
			Ordinal: document.Ordinal, Position: sent[i], Name: document.Name, Format: Format(document.Format), Level: Level(document.Level),
			MediaType: document.MediaType, Size: document.Size, Sha256: hex.EncodeToString(document.SHA256), Signatures: signed,
		}
		if signed > 0 {
			told.SignedURL = new(d.site.URL(fmt.Sprintf("%s/documents/%d", envelopePath(e.ID), document.Ordinal)))
		}
		out.Documents = append(out.Documents, told)
	}
	return json.Marshal(out)
}

func envelopePath(id string) string { return "/v1/envelopes/" + id }
