package csc

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
)

// fault is an error as the documents have it. It is an answer, not a failure.
type fault struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (f *fault) Error() string { return "csc: " + f.Code + ": " + f.Description }

// The codes that more than one place names.
const (
	invalidRequest = "invalid_request"
	serverError    = "server_error"
)

func invalid(description string) *fault {
	return &fault{http.StatusBadRequest, invalidRequest, description}
}

func invalidParameter(name string) *fault { return invalid("Invalid parameter " + name) }

// failed answers a fault; anything else is the site's to answer, in refused.
func failed(c echo.Context, err error) error {
	var f *fault
	if !errors.As(err, &f) {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.JSON(f.status, f)
}

// refused is the form of all that does not come from an endpoint: the router's
// and the limits' answers, tokens that are not good, failures of ours.
func refused(c echo.Context, status int, r *policies.Refusal) error {
	f := fault{status: status, Code: invalidRequest, Description: "The request cannot be read"}
	switch {
	case status == http.StatusUnauthorized:
		f.Code, f.Description = "invalid_token", "The access token is expired, revoked, or not a token"
	case r.Code == policies.DoorNotAllowed || r.Code == policies.FormatNotAllowed || r.Code == policies.LevelNotAllowed:
		f.Code, f.Description = "access_denied", "The application may not do this ("+string(r.Code)+")"
	case status == http.StatusForbidden:
		f.Code, f.Description = "insufficient_scope", "The access token does not reach this far"
	case status == http.StatusNotFound:
		f.Description = "There is no such method"
	case status == http.StatusMethodNotAllowed:
		f.Description = "Methods of this interface are called by POST"
	case status == http.StatusRequestEntityTooLarge:
		f.Description = "The request is too large"
	case status == http.StatusUnsupportedMediaType:
		f.Description = "The request is not application/json"
	case status == http.StatusTooManyRequests:
		f.Code, f.Description = "too_many_requests", "Too many requests"
	case status == http.StatusServiceUnavailable:
		f.Code, f.Description = "temporarily_unavailable", "The service is not available at the moment"
	case status >= http.StatusInternalServerError:
		f.Code, f.Description = serverError, "Reference "+r.Params["reference"]
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.JSON(status, f)
}

// told are the refusals of the core for which the documents have a string.
// Others are the site's to answer.
func told(err error) error {
	var r *policies.Refusal
	if !errors.As(err, &r) {
		return err
	}
	switch r.Code {
	case policies.AuthorisationInvalid, policies.RequestUnknown, policies.RequestState:
		return invalidParameter("SAD")
	case policies.AuthorisationExpired, policies.RequestExpired:
		return invalid("SAD expired")
	case policies.DigestRefused:
		return invalid("Invalid digest value length")
	case policies.CertificateExpired:
		return invalid("Signing certificate is expired")
	case policies.CredentialMissing, policies.CertificateRevoked, policies.CertificateSuspended, policies.CitizenBlocked,
		policies.CitizenInactive, policies.CitizenDeregistered, policies.RegistrationTooOld:
		return invalid("The credential identified by credentialID is disabled")
	default:
	}
	return err
}
