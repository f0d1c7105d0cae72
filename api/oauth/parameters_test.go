package oauth_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/signer"
)

// endpoint is one of the server's, with all parameters that it knows.
type endpoint struct {
	path string
	form url.Values
}

func (h *house) endpoints(a app) []endpoint {
	shown := func(more url.Values) url.Values {
		out := url.Values{"client_id": {a.ID}, "client_secret": {secret}}
		maps.Copy(out, more)
		return out
	}
	pushed := asking(api.ScopeCredential)
	for name, value := range map[string]string{
		"description": "Solicitud", "lang": "es", "response_mode": "query", "state": "s", "nonce": "n", "clientData": "c", "credentialID": "cred-1", "numSignatures": "1",
		"hashes": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", "account_token": "x", "account": "12345678Z", "resource": "x", "prompt": "login", "max_age": "1", "acr_values": "x",
		"dpop_jkt": strings.Repeat("x", 43), "login_hint": "x", "claims": "{}", "ui_locales": "es", "id_token_hint": "x", "display": "page",
	} {
		if !pushed.Has(name) {
			pushed.Set(name, value)
		}
	}
	return []endpoint{
		{"/oauth/token", shown(url.Values{"grant_type": {"client_credentials"}, "scope": {api.ScopeSignature}})},
		{"/oauth/token", shown(url.Values{
			"grant_type": {"authorization_code"}, "code": {strings.Repeat("c", 43)}, "redirect_uri": {callback}, "code_verifier": {verifier},
		})},
		{"/oauth/token", shown(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {strings.Repeat("r", 43)}, "scope": {api.ScopeService}})},
		{"/oauth/par", shown(pushed)},
		{"/oauth/revoke", shown(url.Values{"token": {strings.Repeat("t", 43)}, "token_type_hint": {"access_token"}})},
		{"/oauth/introspect", shown(url.Values{"token": {strings.Repeat("t", 43)}, "token_type_hint": {"access_token"}})},
		{"/oauth/authorize", func() url.Values { p := asking(api.ScopeService); p.Set("client_id", a.ID); return p }()},
	}
}

// told are the errors of RFC 6749, sections 4.1.2.1 and 5.2, 8707, 9101, 9126, 9396
// and 9449.
func told() []string {
	return []string{
		"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_authorization_details",
		"request_not_supported", "invalid_dpop_proof", "invalid_target", "unsupported_response_type", "access_denied", "temporarily_unavailable", "unsupported_token_type",
		"request_uri_not_supported",
	}
}

// send posts what need be no form at all.
func (h *house) send(path, kind, body string) reply {
	h.Helper()
	r := httptest.NewRequestWithContext(h.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return replyOf(w)
}

// inForm is whether an answer is one of this door's: never a failure of ours, and a
// refusal in the words of the RFCs; to a citizen's browser a page or a way back.
func (h *house) inForm(what, path string, r reply) {
	h.Helper()
	switch {
	case r.status >= http.StatusInternalServerError:
		h.Errorf("%s: got %d %s", what, r.status, r.body)
	case path == "/oauth/authorize":
		back := r.header.Get("Location")
		if r.status == http.StatusSeeOther && !strings.HasPrefix(back, issuer+"/") && !strings.HasPrefix(back, "/") && !strings.HasPrefix(back, "https://sede.example.es/vuelta?") {
			h.Errorf("%s: sent to %q", what, back)
		}
	case r.status >= http.StatusBadRequest && (!slices.Contains(told(), r.text("error")) || !strings.HasPrefix(r.header.Get("Content-Type"), "application/json")):
		h.Errorf("%s: got %d %s %.200s, want an error of the RFCs", what, r.status, r.header.Get("Content-Type"), r.body)
	}
}

// Every parameter of every endpoint: missing, empty, huge, twice, of another kind,
// and one more that nobody knows.
func TestEveryParameter(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", func(c *signer.Client) {
		c.Switches = []string{signer.SwitchSecret, signer.SwitchNoPAR, signer.SwitchUnbound}
		c.Calls = 1_000_000
	})
	values := []string{
		"", "null", "-1", "{}", "a\r\nX-Y: z", "\x00", "\xff", "a\u202eb", "../x", "https://evil.example/", strings.Repeat("x", 3000), strings.Repeat("[", 10_000),
	}
	for _, e := range h.endpoints(a) {
		for name := range e.form {
			spoil := func(what string, change func(url.Values)) {
				form := url.Values{}
				for n, v := range e.form {
					form[n] = slices.Clone(v)
				}
				change(form)
				h.inForm(fmt.Sprintf("%s: %s %.30s", e.path, name, what), e.path, h.ask(http.MethodPost, e.path, form))
			}
			spoil("missing", func(v url.Values) { v.Del(name) })
			spoil("of another name", func(v url.Values) { v[strings.ToUpper(name)] = v[name]; v.Del(name) })
			for _, value := range values {
				spoil(fmt.Sprintf("%q", value), func(v url.Values) { v.Set(name, value) })
			}
			form := maps.Clone(e.form)
			form[name] = []string{e.form.Get(name), e.form.Get(name)}
			r := h.ask(http.MethodPost, e.path, form)
			if told := r.status == http.StatusSeeOther && strings.Contains(r.header.Get("Location"), "error=invalid_request"); !told && (r.status < http.StatusBadRequest || r.status >= http.StatusInternalServerError) {
				t.Errorf("%s: %s twice: got %d %s, want it refused", e.path, name, r.status, r.body)
			}
		}
		h.inForm(e.path+": unknown", e.path, h.send(e.path, formType, e.form.Encode()+"&unknown=1&%00=%00&=&%zz"))
		h.inForm(e.path+": many", e.path, h.send(e.path, formType, e.form.Encode()+strings.Repeat("&a=1", 10_000)))
		for _, kind := range []string{"", "application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset", strings.Repeat("x", 5000)} {
			r := h.send(e.path, kind, `{"grant_type":"client_credentials"}`)
			if h.inForm(e.path+" as "+kind, e.path, r); r.status < http.StatusBadRequest {
				t.Errorf("%s as %q: got %d, want it refused", e.path, kind, r.status)
			}
		}
		large := h.send(e.path, formType, e.form.Encode()+"&unknown="+strings.Repeat("x", 1<<20))
		if h.inForm(e.path+": 1 MB", e.path, large); large.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: 1 MB: got %d, want 413", e.path, large.status)
		}
	}
}

const formType = "application/x-www-form-urlencoded"
