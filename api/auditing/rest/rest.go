// Package rest is the auditors' door for programs. openapi.yaml is its contract;
// types and routes are generated from it, and the tests hold every answer
// against it. A handler decodes, makes one call of the domain and encodes.
package rest

import (
	"context"
	_ "embed"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/policies"
)

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml openapi.yaml

//go:embed openapi.yaml
var contract []byte

// Service answers auditors. *auditing.Service fulfils it.
type Service interface {
	Search(ctx context.Context, a auditing.Asking, q auditing.Query) (auditing.Found, error)
	Entry(ctx context.Context, a auditing.Asking, seq int64) (auditing.Single, error)
	Operation(ctx context.Context, a auditing.Asking, id string) (auditing.Found, error)
	Totals(ctx context.Context, a auditing.Asking, from, to time.Time) (auditing.Totals, error)
	Completeness(ctx context.Context, a auditing.Asking, from, to int64) (auditing.Completeness, error)
	Export(ctx context.Context, a auditing.Asking, q auditing.Query, o auditing.ExportOptions, w io.Writer) error
	Health(ctx context.Context) (auditing.Health, error)
}

// Config names the parts of the room.
type Config struct {
	Service Service
	// Identify is who asks and why, or the refusal that the request has earned.
	Identify func(c echo.Context) (auditing.Asking, error)
}

// door answers the operations of the contract.
type door struct {
	Config

	site *api.Site
}

var _ ServerInterface = (*door)(nil)

// questionLimit bounds a question in JSON.
const questionLimit = 64 << 10

// Room hangs the door's routes in the site.
func Room(config Config) func(*api.Site) {
	return func(site *api.Site) {
		routes := site.Door("/v1/audit/")
		question := site.Accept(questionLimit)
		d := &door{config, site}
		RegisterHandlersWithOptions(routes, d, RegisterHandlersOptions{
			OperationMiddlewares: map[string][]echo.MiddlewareFunc{"searchLog": {question}, "exportLog": {question}},
		})
		routes.GET("/v1/audit/guide", d.guide)
		routes.GET("/v1/audit/openapi.yaml", func(c echo.Context) error {
			return c.Blob(http.StatusOK, "application/yaml", contract) // RFC 9512
		})
	}
}

// SearchLog implements ServerInterface.
func (d *door) SearchLog(c echo.Context, _ SearchLogParams) error {
	asking, err := d.Identify(c)
	if err != nil {
		return err
	}
	var asked SearchQuestion
	if err := decode(c, &asked); err != nil {
		return err
	}
	found, err := d.Service.Search(c.Request().Context(), asking, auditing.Query{
		Citizen: asked.Citizen, Certificate: asked.Certificate, Document: asked.Document, Application: asked.Application,
		Operation: asked.Operation, Types: typesOf(asked.Types), Result: auditing.Result(asked.Result), From: asked.From, To: asked.To,
		Before: asked.Before, Limit: asked.Limit,
	})
	if err != nil {
		return err
	}
	return send(c, encodePage(found))
}

// GetEntry implements ServerInterface.
func (d *door) GetEntry(c echo.Context, seq Seq, _ GetEntryParams) error {
	single, err := d.entry(c, seq)
	if err != nil {
		return err
	}
	entry := encodeEntry(single.Entry)
	entry.Witnessed = single.Witnessed
	return send(c, entry)
}

func (d *door) entry(c echo.Context, seq int64) (auditing.Single, error) {
	asking, err := d.Identify(c)
	if err != nil {
		return auditing.Single{}, err
	}
	return d.Service.Entry(c.Request().Context(), asking, seq)
}

// GetEntryProof implements ServerInterface.
func (d *door) GetEntryProof(c echo.Context, seq Seq, _ GetEntryProofParams) error {
	single, err := d.entry(c, seq)
	switch {
	case err != nil:
		return err
	case len(single.Proof) == 0:
		return policies.Refuse(policies.CheckpointMissing)
	}
	private(c)
	attach(c, proofName(seq))
	return c.Blob(http.StatusOK, echo.MIMETextPlainCharsetUTF8, single.Proof)
}

// GetOperation implements ServerInterface.
func (d *door) GetOperation(c echo.Context, id string, _ GetOperationParams) error {
	asking, err := d.Identify(c)
	if err != nil {
		return err
	}
	found, err := d.Service.Operation(c.Request().Context(), asking, id)
	if err != nil {
		return err
	}
	return send(c, encodePage(found))
}

// GetTotals implements ServerInterface.
func (d *door) GetTotals(c echo.Context, params GetTotalsParams) error {
	asking, err := d.Identify(c)
	if err != nil {
		return err
	}
	totals, err := d.Service.Totals(c.Request().Context(), asking, params.From.Time, params.To.Time)
	if err != nil {
		return err
	}
	return send(c, encodeTotals(totals))
}

// ProveCompleteness implements ServerInterface.
func (d *door) ProveCompleteness(c echo.Context, params ProveCompletenessParams) error {
	asking, err := d.Identify(c)
	if err != nil {
		return err
	}
	p, err := d.Service.Completeness(c.Request().Context(), asking, params.From, params.To)
	if err != nil {
		return err
	}
	return send(c, RangeProof{
		From: p.From, To: p.To, Origin: p.Origin, Size: p.Size, Checkpoint: string(p.Checkpoint), Timestamp: p.TimeStamp,
		Edge: p.Edge, Root: p.Root, Consistency: p.Consistency,
	})
}

// GetLogHealth implements ServerInterface.
func (d *door) GetLogHealth(c echo.Context) error {
	asking, err := d.Identify(c)
	if err != nil {
		return err
	}
	if role := asking.Identity.Role; role != auditing.RoleAuditor && role != auditing.RoleAdministrator {
		return policies.Refuse(policies.RoleMissing)
	}
	health, err := d.Service.Health(c.Request().Context())
	if err != nil {
		return err
	}
	return send(c, encodeHealth(health))
}

// send answers with what nobody may keep but who asked.
func send(c echo.Context, body any) error {
	private(c)
	return c.JSON(http.StatusOK, body)
}

func private(c echo.Context) { c.Response().Header().Set(echo.HeaderCacheControl, "no-store") }

// guide is the instruction to verify what was taken away. It is no secret.
func (d *door) guide(c echo.Context) error {
	locale := d.site.Messages(c).Locale()
	c.Response().Header().Set("Content-Language", locale)
	return c.String(http.StatusOK, auditing.Guide(locale))
}
