// Package rest is the native door for back ends. openapi.yaml is its contract;
// types and routes are generated from it, and the tests hold every answer
// against it. A handler decodes, makes one call of the domain and encodes.
package rest

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/api/verification"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml openapi.yaml

//go:embed openapi.yaml
var contract []byte

// Requests is the doors' common core. *requests.Service fulfils it.
type Requests interface {
	Submit(ctx context.Context, sub requests.Submission) (signer.Request, error)
	Preflight(ctx context.Context, r signer.Request) ([]*policies.Refusal, error)
	Outlook(ctx context.Context, identifier string) (policies.Report, error)
	Result(ctx context.Context, r signer.Request, ordinal int) (requests.Result, error)
	Upload(ctx context.Context, applicationID string, content io.Reader) (signer.Upload, error)
	TakeIn(ctx context.Context, applicationID string, u requests.Upload) (*documents.File, error)
}

// Verifications validate signatures. *verification.Service fulfils it.
type Verifications interface {
	Verify(ctx context.Context, in verification.Input) (*verify.Report, error)
}

// Reports draw what a validation comes to. *pages.Pages fulfils it.
type Reports interface {
	// ReportHTML is a page that stands by itself, with the
	// Content-Security-Policy that it needs.
	ReportHTML(locale string, r *verify.Report) (page []byte, policy string, err error)
	ReportPDF(locale string, r *verify.Report) ([]byte, error)
}

// Store reads requests.
type Store interface {
	// Request reads one request (policies.RequestUnknown).
	Request(ctx context.Context, id string) (signer.Request, error)
	// Envelope reads one with its signers (policies.RequestUnknown).
	Envelope(ctx context.Context, id string) (signer.Envelope, error)
}

// Receipts proves signatures. *receipts.Service fulfils it.
type Receipts interface {
	// Receipt is that of a signed request (policies.RequestState,
	// policies.ReceiptPending).
	Receipt(ctx context.Context, r signer.Request) (audit.Receipt, error)
	// Evidence is the same as a PDF.
	Evidence(ctx context.Context, r signer.Request) ([]byte, error)
}

// Register is the office's part of the citizens' register, in the signer
// process.
type Register interface {
	// Perform carries out what an office signed.
	Perform(ctx context.Context, a citizen.Act) (citizen.Receipt, error)
}

// Videos keeps recordings until an officer has looked at them.
type Videos interface {
	// AddVideo keeps one (policies.IdempotencyKeyReused for a recording that the
	// provider has handed in already).
	AddVideo(ctx context.Context, v citizen.Video) error
}

// Config names the parts of the room.
type Config struct {
	Requests  Requests
	Envelopes Envelopes
	Store     Store
	Receipts  Receipts
	Register  Register
	Videos    Videos
	// Verifications and Reports answer for documents that others signed.
	Verifications Verifications
	Reports       Reports
	Webhooks      Webhooks
	// Sandbox reveals codes; nil where the deployment is no sandbox.
	Sandbox Sandbox
	// SigningPath is the path of a request's signing page.
	SigningPath func(requestID string) string
	// Pages are the paths of those places that are pages of this service.
	Pages  map[policies.Where]string
	Limits requests.Limits
	Now    func() time.Time
}

// door answers the operations of the contract.
type door struct {
	Config
	site *api.Site
}

var _ ServerInterface = (*door)(nil)

// Room hangs the door's routes in the site. It fails only if the contract
// that was compiled in cannot be read.
func Room(config Config) (func(*api.Site), error) {
	page, err := documentation(contract)
	if err != nil {
		return nil, fmt.Errorf("reading the contract: %w", err)
	}
	return func(site *api.Site) {
		d := &door{Config: config, site: site}
		large := site.Accept(api.AcceptedBytes(config.Limits.InlineDocuments, config.Limits.InlineBytes))
		application, office := site.Bearer(api.ScopeSignature), site.Bearer(api.ScopeRegistration)
		v1 := site.Door("/v1/")
		RegisterHandlersWithOptions(v1, d, RegisterHandlersOptions{
			OperationMiddlewares: map[string][]echo.MiddlewareFunc{
				"createSignatureRequest": {application, needsKey, large},
				"createEnvelope":         {application, needsKey, large},
				"getEnvelope":            {application},
				"cancelEnvelope":         {application},
				"getEnvelopeDocument":    {application},
				"uploadDocument":         {application, ofAtMost(config.Limits.DocumentBytes), site.Stream(config.Limits.DocumentBytes)},
				"verifySignatures":       {application, either(site, config.Limits)},
				"getSignatureRequest":    {application},
				"getSignedDocument":      {application},
				"getReceipt":             {application},
				"getEvidence":            {application},
				"listWebhookDeliveries":  {application},
				"getWebhookDelivery":     {application},
				"replayWebhookDelivery":  {application},
				"listSandboxCitizens":    {application},
				"getSandboxCode":         {application},
				"preflightCitizen":       {application, site.Accept(questionLimit)},
				"performOfficeAct":       {office, site.Accept(citizen.ActLimit)},
				"addVideoRegistration":   {site.Bearer(api.ScopeVideo), site.Accept(videoLimit)},
			},
		})
		v1.GET("/v1/openapi.yaml", sendContract)
		v1.GET("/docs", func(c echo.Context) error { return site.Plain(c, page) })
	}, nil
}
