package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The edge is what a request passes before go-oidc sees it, and an answer before
// its client does: where go-oidc takes the first of two parameters, leaves out
// what it cannot read, or names an error otherwise than its RFC.

// oauthError is RFC 6749, section 5.2.
type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func (e *oauthError) Error() string { return "oauth: " + e.Code + ": " + e.Description }

func invalid(description string) error {
	return &oauthError{Code: "invalid_request", Description: description}
}

// serve answers the endpoints at which applications show who they are.
func (s *Server) serve(site *api.Site) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, v := s.visitFor(c.Request().Context())
		r := c.Request().Clone(ctx)
		v.certificate = s.Certificate(r)
		v.turn = func(app signer.Client) error { return site.Turn(c, app) }
		form, err := readForm(r)
		if err == nil {
			err = v.readClient(r, form)
		}
		if err == nil {
			err = v.readParameters(form)
		}
		if err == nil && len(r.Header.Values("DPoP")) > 1 {
			err = &oauthError{Code: "invalid_dpop_proof", Description: "there is more than one proof"}
		}
		if told := (*oauthError)(nil); errors.As(err, &told) {
			return s.tell(c, site, form.Get("client_id"), told)
		}
		if err != nil {
			return err
		}
		a := s.run(r)
		if v.late != nil {
			return v.late
		}
		if a.status < http.StatusBadRequest {
			return a.copy(c, v)
		}
		told, err := a.error(v)
		if err != nil {
			return err
		}
		return s.tell(c, site, form.Get("client_id"), told)
	}
}

// copy sends a good answer on. That of a token for one credential says for which,
// as Cloud Signature Consortium 2.0.0.2, section 8.4.4, asks.
func (a *answer) copy(c echo.Context, v *visit) error {
	c.Response().Header().Set("Pragma", "no-cache") // RFC 6749, section 5.1
	if v.code && v.granted.CredentialID != "" {
		var token map[string]any
		if err := json.Unmarshal(a.body.Bytes(), &token); err != nil {
			return fmt.Errorf("reading an answer: %w", err)
		}
		token["credentialID"] = v.granted.CredentialID
		return c.JSON(a.status, token)
	}
	if kind := a.header.Get("Content-Type"); kind != "" {
		return c.Blob(a.status, kind, a.body.Bytes())
	}
	return c.NoContent(a.status)
}

// error is what an answer says, in the words of the RFCs; or the failure of ours
// that it hides.
func (a *answer) error(v *visit) (*oauthError, error) {
	var told oauthError
	if err := json.Unmarshal(a.body.Bytes(), &told); err != nil || told.Code == "" {
		return nil, errors.Join(errors.New("the authorisation server has no answer"), v.failure)
	}
	switch {
	case told.Code == string(goidc.ErrorCodeInternalError):
		return nil, errors.Join(errors.New("the authorisation server failed"), v.failure)
	case told.Code == string(goidc.ErrorCodeExpiredToken): // RFC 6749, section 5.2, has no such code
		told.Code = "invalid_grant"
	case told.Description == "invalid DPoP proof": // RFC 9449, section 5
		told.Code = "invalid_dpop_proof"
	case told.Code == string(goidc.ErrorCodeInvalidGrant) && v.client.Enter(signer.DoorOAuth) != nil: // RFC 6749, section 5.2
		told.Code, told.Description = string(goidc.ErrorCodeUnauthorizedClient), string(policies.DoorNotAllowed)
	}
	return &told, nil
}

// tell answers with an error (RFC 6749, section 5.2).
func (*Server) tell(c echo.Context, site *api.Site, clientID string, told *oauthError) error {
	status := http.StatusBadRequest
	if told.Code == "invalid_client" {
		status = http.StatusUnauthorized
		if id, _, ok := c.Request().BasicAuth(); ok {
			clientID = id
		}
		if site.Refused != nil {
			if err := site.Refused(c, clientID); err != nil {
				return err
			}
		}
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Basic realm="rubrica", charset="UTF-8"`)
	}
	return c.JSON(status, told)
}

// readForm reads the parameters of a body, none of them twice (RFC 6749, section
// 3.2).
func readForm(r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalid("the body must be application/x-www-form-urlencoded")
	}
	if err := r.ParseForm(); err != nil {
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			return nil, err
		}
		return nil, invalid("the body cannot be read")
	}
	return r.PostForm, once(r.PostForm)
}

func once(parameters url.Values) error {
	for _, values := range parameters {
		if len(values) > 1 {
			return invalid("a parameter stands twice")
		}
	}
	return nil
}

// readClient finds out by what the application shows who it is: one way, never
// two (RFC 6749, section 2.3).
func (v *visit) readClient(r *http.Request, form url.Values) error {
	ways := 0
	for way, used := range map[shown]bool{
		byBasic: r.Header.Get("Authorization") != "", byPost: form.Has("client_secret"),
		byAssertion: form.Has("client_assertion") || form.Has("client_assertion_type"),
	} {
		if used {
			ways, v.shown = ways+1, way
		}
	}
	if ways > 1 || len(r.Header.Values("Authorization")) > 1 {
		return invalid("two ways of authentication at once")
	}
	if v.shown != byBasic {
		if id := form.Get("client_id"); len(id) > maxClientID || !printable(id) {
			return &oauthError{Code: "invalid_client"}
		}
		return nil
	}
	id, secret, basic := r.BasicAuth()
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	if !basic || idErr != nil || secretErr != nil || id == "" || len(id) > maxClientID || !printable(id) {
		return &oauthError{Code: "invalid_client"}
	}
	if form.Has("client_id") && form.Get("client_id") != id {
		return invalid("client_id is not the one that authenticates")
	}
	r.SetBasicAuth(id, secret) // go-oidc takes them as they are
	return nil
}

// maxParameter bounds every parameter but those that carry documents' hashes and
// assertions.
const maxParameter = 2048

// readParameters looks at what go-oidc would not.
func (v *visit) readParameters(parameters url.Values) error {
	for name, values := range parameters {
		switch value := values[0]; {
		case strings.ContainsRune(value, 0) || strings.ContainsRune(name, 0):
			return invalid("a parameter holds NUL")
		case name != "authorization_details" && name != "client_assertion" && len(value) > maxParameter:
			return invalid("a parameter is too long")
		}
	}
	switch mode := parameters.Get("response_mode"); {
	case parameters.Has("request"):
		return &oauthError{Code: "request_not_supported"} // RFC 9101, section 6.3
	case mode != "" && mode != string(goidc.ResponseModeQuery):
		return invalid("response_mode is not supported")
	}
	if scope := parameters.Get("scope"); scope != "" && !isSpaced(scope) {
		return &oauthError{Code: "invalid_scope"}
	}
	if details := parameters.Get("authorization_details"); parameters.Has("authorization_details") {
		if _, err := ParseDetails(details); err != nil {
			return &oauthError{Code: "invalid_authorization_details", Description: err.Error()}
		}
	}
	v.redirect = parameters.Get("redirect_uri")
	return v.readOwn(parameters)
}

// readOwn reads the parameters that Cloud Signature Consortium adds.
func (v *visit) readOwn(parameters url.Values) error {
	own := map[string]any{}
	for name, value := range parameters {
		own[name] = value[0]
	}
	for name, to := range map[string]*string{"description": &v.title, "lang": &v.locale, "credentialID": &v.named, api.ParameterAccount: &v.account} {
		if parameters.Get(name) == "" {
			continue
		}
		if err := text(own, name, to); err != nil {
			return invalid(err.Error())
		}
	}
	return nil
}

// authorize answers the browser of a citizen. What cannot be told to the
// application, because it is not known where it is, is told to the citizen.
func (s *Server) authorize(c echo.Context) error {
	ctx, v := s.visitFor(c.Request().Context())
	r := c.Request().Clone(ctx)
	parameters, err := r.URL.Query(), error(nil)
	if r.Method == http.MethodPost {
		parameters, err = readForm(r)
	} else if _, malformed := url.ParseQuery(r.URL.RawQuery); malformed != nil {
		err = invalid("the address cannot be read")
	}
	if err == nil {
		err = once(parameters)
	}
	if err == nil {
		err = v.readParameters(parameters)
	}
	if told := (*oauthError)(nil); errors.As(err, &told) {
		if back := s.toldAt(ctx, parameters, told); back != "" {
			return c.Redirect(http.StatusSeeOther, back)
		}
		return policies.Refuse(policies.RequestMalformed, "field", told.Code)
	}
	if err != nil {
		return err
	}
	a := s.run(r)
	if address := a.header.Get("Location"); a.status == http.StatusSeeOther && address != "" {
		return c.Redirect(http.StatusSeeOther, address)
	}
	return s.failed(v)
}

// toldAt is the application's address with what is wrong with its request, empty
// where that cannot be told there: the address has to be registered, of one that may
// ask without having pushed.
func (s *Server) toldAt(ctx context.Context, parameters url.Values, wrong *oauthError) string {
	ids, addresses := parameters["client_id"], parameters["redirect_uri"]
	if len(ids) != 1 || len(addresses) != 1 || len(ids[0]) > maxClientID || !printable(ids[0]) {
		return ""
	}
	app, err := s.Store.Application(ctx, ids[0])
	if err != nil || !app.Has(signer.SwitchNoPAR) || !slices.Contains(app.ReturnAddresses, addresses[0]) {
		return ""
	}
	state := parameters.Get("state")
	if len(parameters["state"]) != 1 || len(state) > maxParameter || strings.ContainsRune(state, 0) {
		state = ""
	}
	back, err := api.ErrorAddress(addresses[0], s.Issuer, wrong.Code, wrong.Description, state)
	if err != nil {
		return ""
	}
	return back
}

// errorForm is how the site's own refusals are told below /oauth/: to citizens
// as pages, to applications in the form of RFC 6749.
func (*Server) errorForm(site *api.Site) api.ErrorForm {
	return func(c echo.Context, status int, refusal *policies.Refusal) error {
		if c.Request().URL.Path == authorizePath && site.ErrorPage != nil {
			return site.ErrorPage(c, status, refusal)
		}
		told := oauthError{Code: "invalid_request", Description: string(refusal.Code)}
		switch {
		case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
			told.Code = "temporarily_unavailable"
		case status >= http.StatusInternalServerError:
			told.Code, told.Description = "server_error", refusal.Params["reference"]
		}
		return c.JSON(status, told)
	}
}

// metadata is RFC 8414.
func (s *Server) metadata(c echo.Context) error {
	methods := []string{"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth", "client_secret_basic", "client_secret_post"}
	var algs, types []string
	for _, alg := range algorithms() {
		algs = append(algs, string(alg))
	}
	for _, t := range detailTypes() {
		types = append(types, string(t))
	}
	return c.JSON(http.StatusOK, metadata{
		Issuer: s.Issuer, Authorize: s.Issuer + authorizePath, Push: s.Issuer + pushPath, Token: s.Issuer + tokenPath,
		Revoke: s.Issuer + revokePath, Introspect: s.Issuer + introspectPath,
		Scopes: s.scopes, ResponseTypes: []string{"code"}, ResponseModes: []string{"query"},
		GrantTypes:  []string{"authorization_code", "client_credentials", "refresh_token"},
		AuthMethods: methods, AuthAlgorithms: algs, RevokeMethods: methods, RevokeAlgorithms: algs, InspectMethods: methods, InspectAlgorithms: algs,
		ChallengeMethods: []string{"S256"}, DetailTypes: types, DPoPAlgorithms: algs,
		IssuerInResponse: true, BoundTokens: true, RequestURIs: true, ServiceDescription: s.Issuer + "/docs",
	})
}
