package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
)

// statuses is the one place where a refusal becomes an HTTP status.
var statuses = map[policies.Code]int{
	policies.IdentifierInvalid:      http.StatusUnprocessableEntity,
	policies.IdentityDocumentExpiry: http.StatusUnprocessableEntity,
	policies.NameInvalid:            http.StatusUnprocessableEntity,
	policies.PhoneInvalid:           http.StatusUnprocessableEntity,
	policies.PhoneTaken:             http.StatusConflict,
	policies.EmailInvalid:           http.StatusUnprocessableEntity,
	policies.CitizenExists:          http.StatusConflict,
	policies.CitizenUnknown:         http.StatusNotFound,
	policies.CitizenInactive:        http.StatusConflict,
	policies.CitizenDeregistered:    http.StatusConflict,
	policies.CitizenDeceased:        http.StatusConflict,
	policies.RegistrationInPerson:   http.StatusForbidden,
	policies.CitizenBlocked:         http.StatusConflict,
	policies.RecordTampered:         http.StatusInternalServerError, // an operator has to hear of it
	policies.OfficeActInvalid:       http.StatusUnprocessableEntity,
	policies.OfficeActRepeated:      http.StatusConflict,

	policies.ActivationMismatch: http.StatusUnprocessableEntity,
	policies.ActivationBlocked:  http.StatusForbidden,
	policies.PasswordWeak:       http.StatusUnprocessableEntity,
	policies.PasswordMismatch:   http.StatusUnprocessableEntity,
	policies.CredentialsWrong:   http.StatusUnprocessableEntity, // 401 would ask the browser for its own form
	policies.PasswordLocked:     http.StatusForbidden,
	policies.PasswordPaused:     http.StatusTooManyRequests,
	policies.PasswordExpired:    http.StatusForbidden,
	policies.SessionExpired:     http.StatusForbidden,
	policies.NotTheSigner:       http.StatusForbidden,

	policies.CodeMalformed: http.StatusUnprocessableEntity,
	policies.CodeWrong:     http.StatusUnprocessableEntity,
	policies.CodeExpired:   http.StatusUnprocessableEntity,
	policies.CodeUsed:      http.StatusConflict,
	policies.CodeExhausted: http.StatusUnprocessableEntity,
	policies.CodeTooSoon:   http.StatusTooManyRequests,
	policies.CodeTooMany:   http.StatusTooManyRequests,
	policies.SMSFailed:     http.StatusServiceUnavailable,

	policies.RegistrationTooOld:    http.StatusConflict,
	policies.RegistrationTelematic: http.StatusConflict,
	policies.RegistrationLevel:     http.StatusConflict,
	policies.CredentialExists:      http.StatusConflict,
	policies.CredentialMissing:     http.StatusConflict,
	policies.CertificateExpired:    http.StatusConflict,
	policies.CertificateRevoked:    http.StatusConflict,
	policies.CertificateSuspended:  http.StatusConflict,
	policies.CertificateInForce:    http.StatusConflict,
	policies.RenewalTooEarly:       http.StatusConflict,
	policies.RegistrationEnding:    http.StatusConflict,

	policies.AuthorisationInvalid: http.StatusForbidden,
	policies.AuthorisationExpired: http.StatusForbidden,
	policies.DigestRefused:        http.StatusUnprocessableEntity,

	policies.CertificateUnreadable: http.StatusUnprocessableEntity,
	policies.CertificateUntrusted:  http.StatusUnprocessableEntity,
	policies.RevocationUnknown:     http.StatusServiceUnavailable,
	policies.DNIeRequired:          http.StatusUnprocessableEntity,
	policies.IdentityMismatch:      http.StatusForbidden,
	policies.AssociationExists:     http.StatusConflict,
	policies.AssociationMissing:    http.StatusConflict,
	policies.PhoneChangedRecently:  http.StatusConflict,
	policies.PhoneRefused:          http.StatusUnprocessableEntity,
	policies.LetterMismatch:        http.StatusUnprocessableEntity,
	policies.LetterBlocked:         http.StatusForbidden,
	policies.IBANInvalid:           http.StatusUnprocessableEntity,
	policies.RegisterUnavailable:   http.StatusServiceUnavailable,
	policies.AccessKeyInvalid:      http.StatusUnprocessableEntity,
	policies.PINMismatch:           http.StatusUnprocessableEntity,
	policies.CardMismatch:          http.StatusUnprocessableEntity,
	policies.CardBlocked:           http.StatusForbidden,
	policies.LinkInvalid:           http.StatusConflict,
	policies.ReasonMissing:         http.StatusUnprocessableEntity,
	policies.SecondOfficerNeeded:   http.StatusConflict,
	policies.DeskTaken:             http.StatusConflict,
	policies.OfficerRefused:        http.StatusForbidden,

	policies.DocumentEmpty:      http.StatusUnprocessableEntity,
	policies.DocumentTooLarge:   http.StatusRequestEntityTooLarge,
	policies.DocumentNotPDF:     http.StatusUnprocessableEntity,
	policies.DocumentDamaged:    http.StatusUnprocessableEntity,
	policies.VerificationFormat: http.StatusUnprocessableEntity,
	policies.DocumentEncrypted:  http.StatusUnprocessableEntity,
	policies.DocumentCertified:  http.StatusUnprocessableEntity,
	policies.DocumentChanged:    http.StatusConflict,
	policies.FieldUnknown:       http.StatusUnprocessableEntity,
	policies.StampInvalid:       http.StatusUnprocessableEntity,
	policies.UploadUnknown:      http.StatusUnprocessableEntity,

	policies.TimeStampUnavailable: http.StatusServiceUnavailable,
	policies.EvidenceUnavailable:  http.StatusServiceUnavailable,
	policies.LevelUnreachable:     http.StatusConflict,

	policies.DocumentUnsupported: http.StatusUnprocessableEntity,
	policies.DocumentTooComplex:  http.StatusUnprocessableEntity,
	policies.DocumentUnsafe:      http.StatusUnprocessableEntity,

	policies.RequestMalformed:      http.StatusBadRequest,
	policies.RequestUnknown:        http.StatusNotFound,
	policies.RequestState:          http.StatusConflict,
	policies.RequestExpired:        http.StatusConflict,
	policies.RequestTooManyDocs:    http.StatusUnprocessableEntity,
	policies.ReturnAddressUnknown:  http.StatusUnprocessableEntity,
	policies.IdempotencyKeyMissing: http.StatusBadRequest,
	policies.IdempotencyKeyReused:  http.StatusConflict,
	policies.ApplicationUnknown:    http.StatusUnauthorized,
	policies.ScopeMissing:          http.StatusForbidden,
	policies.DoorNotAllowed:        http.StatusForbidden,
	policies.FormatNotAllowed:      http.StatusForbidden,
	policies.LevelNotAllowed:       http.StatusForbidden,
	policies.NotFound:              http.StatusNotFound,
	policies.MethodNotAllowed:      http.StatusMethodNotAllowed,
	policies.RateLimited:           http.StatusTooManyRequests,

	policies.LogSuspended:      http.StatusServiceUnavailable,
	policies.ReceiptPending:    http.StatusServiceUnavailable,
	policies.CheckpointMissing: http.StatusServiceUnavailable,
	policies.QueryInvalid:      http.StatusUnprocessableEntity,
	policies.RangeImpossible:   http.StatusUnprocessableEntity,
	policies.PurposeMissing:    http.StatusUnprocessableEntity,
	policies.RoleMissing:       http.StatusForbidden,
	policies.AuditorRefused:    http.StatusForbidden,
	policies.InvitationInvalid: http.StatusForbidden,

	policies.Busy:            http.StatusServiceUnavailable,
	policies.SignatureFailed: http.StatusInternalServerError,
	policies.Unavailable:     http.StatusServiceUnavailable,
	policies.Internal:        http.StatusInternalServerError,
}

// Status is the HTTP status of a refusal, 500 for one that this version does
// not know.
func Status(code policies.Code) int {
	if status, known := statuses[code]; known {
		return status
	}
	return http.StatusInternalServerError
}

// Problem is a refusal on the wire (RFC 9457, section 3).
type Problem struct {
	Type   string            `json:"type"`
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Detail string            `json:"detail,omitempty"`
	Remedy string            `json:"remedy,omitempty"`
	Code   policies.Code     `json:"code"`
	Source string            `json:"source,omitempty"`
	Params map[string]string `json:"params,omitempty"`
}

const problemType = "application/problem+json"

// answer is where every error of every handler ends.
func (s *Site) answer(err error, c echo.Context) {
	refusal := classify(err, c.Request())
	status := Status(refusal.Code)
	if errors.Is(err, echo.ErrUnsupportedMediaType) {
		status = http.StatusUnsupportedMediaType // which one was expected, the refusal says
	}
	if status >= http.StatusInternalServerError {
		refusal = s.report(err, refusal, c)
	}
	if c.Response().Committed {
		return
	}
	if refusal.RetryAfter > 0 {
		c.Response().Header().Set(echo.HeaderRetryAfter, Seconds(refusal.RetryAfter))
	}
	if form := s.formOf(c.Request().URL.Path); form != nil {
		// The client may have gone; there is nobody left to tell.
		_ = form(c, status, refusal)
		return
	}
	if s.ErrorPage != nil && s.isPerson(c) {
		failure := s.ErrorPage(c, status, refusal)
		if failure == nil {
			return
		}
		s.Logger.ErrorContext(c.Request().Context(), "error page failed", "request_id", requestID(c), "error", failure)
	}
	s.problem(c, status, refusal)
}

// formOf is the form of refusals at an address, nil where it is the common one.
// The longest prefix decides.
func (s *Site) formOf(path string) ErrorForm {
	longest := ""
	for prefix := range s.forms {
		if strings.HasPrefix(path, prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	return s.forms[longest]
}

// classify finds the refusal in an error.
func classify(err error, r *http.Request) *policies.Refusal {
	var (
		refusal *policies.Refusal
		routing *echo.HTTPError
		tooLong *http.MaxBytesError
	)
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.As(err, &tooLong):
		return policies.Refuse(policies.DocumentTooLarge)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return policies.Refuse(policies.Unavailable)
	case !errors.As(err, &routing):
		return policies.Refuse(policies.Internal)
	}
	switch {
	case routing.Code == http.StatusNotFound:
		return policies.Refuse(policies.NotFound)
	case routing.Code == http.StatusMethodNotAllowed:
		return policies.Refuse(policies.MethodNotAllowed, "method", r.Method)
	case routing.Code < http.StatusInternalServerError:
		return policies.Refuse(policies.RequestMalformed)
	}
	return policies.Refuse(policies.Internal)
}

// report logs a failure of ours, once, and gives the client the reference
// under which it stands. One that the signer logged keeps the signer's.
func (s *Site) report(err error, r *policies.Refusal, c echo.Context) *policies.Refusal {
	told := *r
	told.Params = map[string]string{"reference": requestID(c)}
	maps.Copy(told.Params, r.Params)
	level := slog.LevelError
	if Status(r.Code) == http.StatusServiceUnavailable {
		level = slog.LevelWarn
	}
	if c.Request().Context().Err() != nil { // the client has gone
		level = slog.LevelInfo
	}
	s.Logger.LogAttrs(c.Request().Context(), level, "request failed",
		slog.String("request_id", requestID(c)),
		slog.String("reference", told.Params["reference"]),
		slog.String("route", c.Path()),
		slog.String("code", string(r.Code)),
		slog.Any("error", err),
	)
	return &told
}

func (s *Site) problem(c echo.Context, status int, r *policies.Refusal) {
	h := c.Response().Header()
	if status == http.StatusUnauthorized && h.Get(echo.HeaderWWWAuthenticate) == "" {
		h.Set(echo.HeaderWWWAuthenticate, challenge("", nil)) // RFC 9110, section 15.5.2
	}
	h.Set("Cache-Control", "no-store")
	s.describe(c, r, status, status)
}

// describe sends a refusal's problem document. The status that it tells of need
// not be that of the answer.
func (s *Site) describe(c echo.Context, r *policies.Refusal, told, status int) {
	messages := s.Messages(c)
	text := messages.Refusal(r)
	body, err := json.Marshal(Problem{
		Type: s.URL("/problems/" + string(r.Code)), Title: text.Title, Status: told, Detail: text.Detail, Remedy: text.Remedy,
		Code: r.Code, Source: r.Source, Params: r.Params,
	})
	if err != nil {
		status, body = http.StatusInternalServerError, nil
	}
	c.Response().Header().Set("Content-Language", messages.Locale())
	// The client may have gone; there is nobody left to tell.
	_ = c.Blob(status, problemType, body)
}

// explain is what a problem's type leads to.
func (s *Site) explain(c echo.Context) error {
	code := policies.Code(c.Param("code"))
	if _, known := statuses[code]; !known {
		return policies.Refuse(policies.NotFound)
	}
	refusal := policies.Refuse(code)
	if !strings.Contains(c.Request().Header.Get(echo.HeaderAccept), "text/html") {
		s.describe(c, refusal, Status(code), http.StatusOK)
		return nil
	}
	messages := s.Messages(c)
	text := messages.Refusal(refusal)
	c.Response().Header().Set("Content-Language", messages.Locale())
	return s.Plain(c, PlainPage{
		Lang: messages.Locale(), Title: text.Title, Paragraphs: []string{text.Detail, text.Remedy},
		Facts: []Fact{{"code", string(code)}, {"HTTP", strconv.Itoa(Status(code))}},
	})
}

// Seconds writes a span for Retry-After, rounded up: a client that comes back
// early has come in vain.
func Seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}
