package csc

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The addresses of OAuth 2.0 below this door's (CSC API v1.0.4.0 and v2.0.0.2,
// 8.4). The authorisation server is the deployment's one; here its words are put
// into those of this interface, and back. Nothing is decided.

// The authorisation server's addresses.
const (
	authorizePath = "/oauth/authorize"
	pushPath      = "/oauth/par"
	tokenPath     = "/oauth/token" //nolint:gosec // an address, no token
	revokePath    = "/oauth/revoke"
)

func (d *Door) edge(s *api.Site, e *echo.Echo) {
	for _, v := range []version{1, 2} {
		base := fmt.Sprintf("%sv%d/oauth2/", prefix, v)
		e.GET(base+"authorize", func(c echo.Context) error {
			if answered, err := d.turnedAway(c, v); answered || err != nil {
				return err
			}
			r := c.Request().Clone(c.Request().Context())
			r.URL.Path, r.URL.RawQuery = authorizePath, v.translated(c.QueryParams()).Encode()
			e.ServeHTTP(c.Response(), r)
			return nil
		})
		e.POST(base+"pushed_authorize", d.form(e, v, pushPath), s.Accept(smallBody))
		e.POST(base+"token", d.form(e, v, tokenPath), s.Accept(smallBody))
		e.POST(base+"revoke", d.form(e, v, revokePath), s.Accept(smallBody))
	}
}

// form hands a form on, and its answer back.
func (d *Door) form(e *echo.Echo, v version, path string) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		kind, _, _ := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)) // another is the server's to refuse
		if parameters, err := url.ParseQuery(string(body)); err == nil && kind == echo.MIMEApplicationForm {
			if err := d.mayCall(r, v, parameters); err != nil {
				return failed(c, err)
			}
			if path == pushPath {
				body = []byte(v.translated(parameters).Encode())
			}
		}
		got := within(e, r, path, body)
		if path == tokenPath && v == 1 {
			got.nameSAD()
		}
		if path == revokePath && got.status == http.StatusOK { // RFC 7009 has another number than this interface
			got.status = http.StatusNoContent
			got.body.Reset()
		}
		h := c.Response().Header()
		for name, values := range got.header {
			if name != "Content-Length" {
				h[name] = values
			}
		}
		if got.body.Len() == 0 {
			return c.NoContent(got.status)
		}
		return c.Blob(got.status, h.Get(echo.HeaderContentType), got.body.Bytes())
	}
}

// turnedAway answers an authorisation request that this door does not hand on: at
// the application's address where that is registered, to the browser otherwise
// (RFC 6749, section 4.1.2.1; RFC 9207).
func (d *Door) turnedAway(c echo.Context, v version) (bool, error) {
	in := c.QueryParams()
	app, err := d.admitted(c.Request().Context(), v, in.Get("client_id"), in)
	if err == nil {
		return false, nil
	}
	told, address := oauthCode(err), in.Get("redirect_uri")
	if told == "" || !slices.Contains(app.ReturnAddresses, address) {
		return true, failed(c, err)
	}
	back, err := api.ErrorAddress(address, d.site.URL(""), told, "", in.Get("state"))
	if err != nil {
		return true, err
	}
	return true, c.Redirect(http.StatusSeeOther, back)
}

// oauthCode is what RFC 6749, section 4.1.2.1, calls a refusal of admitted's; a
// failure has no name there.
func oauthCode(err error) string {
	var f *fault
	switch {
	case errors.As(err, &f):
		return f.Code
	case errors.Is(err, policies.Refuse(policies.DoorNotAllowed)):
		return "unauthorized_client"
	}
	return ""
}

// mayCall is admitted for a form, whose application stands in one of two places.
func (d *Door) mayCall(r *http.Request, v version, in url.Values) error {
	id := in.Get("client_id")
	if user, _, basic := r.BasicAuth(); basic {
		if user, err := url.QueryUnescape(user); err == nil {
			id = user
		}
	}
	if id == "" {
		return invalid("Missing parameter client_id")
	}
	_, err := d.admitted(r.Context(), v, id, in)
	return err
}

// admitted asks what depends on a version, before anything is used up: whether the
// door is open to the application that is named, and whether it signed an
// account_token, in whose place goes the citizen that it names. That it is that
// application, the server asks; one that is not known is the server's to refuse.
func (d *Door) admitted(ctx context.Context, v version, id string, in url.Values) (signer.Client, error) {
	if !printable(id) {
		return signer.Client{}, nil
	}
	app, err := d.Store.Application(ctx, id)
	if errors.Is(err, policies.Refuse(policies.ApplicationUnknown)) {
		return app, nil
	}
	if err != nil {
		return app, fmt.Errorf("reading an application: %w", err)
	}
	if err := app.Enter(v.door()); err != nil {
		return app, err
	}
	if in.Has("account_token") {
		account, good := d.signedAccount(app, in.Get("account_token"))
		if !good {
			return app, invalidParameter("account_token")
		}
		in.Del("account_token")
		in.Del(api.ParameterAccount)
		if who, err := citizen.ParseIdentifier(account); err == nil { // another is the application's own, and nobody's here
			in.Set(api.ParameterAccount, who.String())
		}
	}
	return app, nil
}

func (v version) door() string {
	if v == 1 {
		return signer.DoorCSC1
	}
	return signer.DoorCSC2
}

// signedAccount checks an account_token: a JWT under HS256 whose key is the SHA-256
// of the application's secret (CSC API v1.0.4.0, 8.3.1), which is the form that
// secrets are kept in. It says for which account the application asks: nothing is
// granted by it.
func (d *Door) signedAccount(app signer.Client, token string) (account string, good bool) {
	if !app.Has(signer.SwitchSecret) {
		return "", false
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return "", false
	}
	var (
		claims jwt.Claims
		party  struct {
			Presenter string `json:"azp"`
		}
	)
	if !slices.ContainsFunc(app.SecretHashes(d.Now()), func(key []byte) bool { return parsed.Claims(key, &claims, &party) == nil }) {
		return "", false
	}
	if claims.ValidateWithLeeway(jwt.Expected{Time: d.Now()}, jwt.DefaultLeeway) != nil {
		return "", false
	}
	return claims.Subject, party.Presenter == "" || party.Presenter == app.ID
}

// translated are the parameters of an authorisation request with those of this
// interface put into authorization_details (RFC 9396). What cannot be read is
// handed on as it is: the server says what is wrong with it. A number that is
// not that of the hashes is wrong too.
func (v version) translated(in url.Values) url.Values {
	out := url.Values{}
	for name, values := range in {
		switch name {
		case "credentialID":
			if in.Get("scope") == api.ScopeDeletion {
				out[name] = values
			}
		case "signatureQualifier", "numSignatures", "hash", "hashes", "hashAlgorithmOID", "clientData":
		default:
			out[name] = values
		}
	}
	if in.Has("authorization_details") || !slices.Contains(strings.Fields(in.Get("scope")), api.ScopeCredential) || in.Has("request_uri") {
		return out
	}
	digests, size := []map[string]string{}, 0
	for hash := range strings.SplitSeq(in.Get(v.hashesName()), ",") {
		if hash != "" {
			digests = append(digests, map[string]string{"hash": standard(hash)})
			size = base64.RawURLEncoding.DecodedLen(len(strings.TrimRight(hash, "=")))
		}
	}
	detail := map[string]any{"type": "credential", "documentDigests": digests}
	if oid := hashOfSize(size); v == 1 && oid != "" { // version 1 has no parameter for it
		detail["hashAlgorithmOID"] = oid
	}
	for _, name := range []string{"credentialID", "signatureQualifier", "hashAlgorithmOID"} {
		if in.Has(name) {
			detail[name] = in.Get(name)
		}
	}
	if number := in.Get("numSignatures"); number != "" {
		detail["type"], detail["numSignatures"] = "https://cloudsignatureconsortium.org/2025/credential", any(number)
		if n, err := strconv.Atoi(number); err == nil {
			detail["numSignatures"] = n
		}
	}
	text, err := json.Marshal([]any{detail}, json.Deterministic(true))
	if err == nil {
		out.Set("authorization_details", string(text))
	}
	return out
}

// standard is base64url in the alphabet that details are written in.
func standard(hash string) string {
	encoding := base64.RawURLEncoding
	if strings.HasSuffix(hash, "=") {
		encoding = base64.URLEncoding
	}
	b, err := encoding.DecodeString(hash)
	if err != nil || encoding.EncodeToString(b) != hash {
		return hash
	}
	return base64Of(b)
}

// kept is an answer before it leaves.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// within asks the site itself. RequestURI stays the address that was called: of
// that one a DPoP proof speaks (RFC 9449, section 4.3, step 9).
func within(e *echo.Echo, from *http.Request, path string, body []byte) *kept {
	r := from.Clone(from.Context())
	r.URL.Path, r.URL.RawQuery, r.RequestURI = path, "", from.URL.EscapedPath()
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Form, r.PostForm = nil, nil
	out := &kept{header: http.Header{}, status: http.StatusOK}
	e.ServeHTTP(out, r)
	return out
}

// Header implements http.ResponseWriter.
func (k *kept) Header() http.Header { return k.header }

// WriteHeader implements http.ResponseWriter.
func (k *kept) WriteHeader(status int) { k.status = status }

// Write implements http.ResponseWriter.
func (k *kept) Write(p []byte) (int, error) { return k.body.Write(p) }

// nameSAD calls a token of scope credential what version 1 calls it.
func (k *kept) nameSAD() {
	var answer map[string]any
	if k.status != http.StatusOK || json.Unmarshal(k.body.Bytes(), &answer) != nil || answer["scope"] != api.ScopeCredential {
		return
	}
	answer["token_type"] = "SAD"
	if text, err := json.Marshal(answer, json.Deterministic(true)); err == nil {
		k.body.Reset()
		k.body.Write(text)
	}
}
