package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Whatever is pushed or posted, the edge ends with a form without a parameter
// twice, or with an error that the RFCs know; what it admits holds no NUL and
// nothing that is too long.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"", "client_id=sede", "client_id=sede&client_secret=x", "scope=credential&scope=service", "a=%00", "%zz", "a;b", "request=eyJhbGciOiJub25lIn0.e30.",
		"client_id=sede&redirect_uri=https%3A%2F%2Fa%2F&code_challenge_method=S256&authorization_details=%5B%7B%22type%22%3A%22credential%22%7D%5D",
		"client_assertion=x&client_assertion_type=y&client_secret=z", "description=a%0Ab", "lang=%E2%80%AE", "response_mode=fragment", "scope=+a",
	} {
		f.Add(formType, "", seed)
	}
	f.Add("application/json", "Basic c2VkZTp4", `{"client_id":"sede"}`)
	f.Add(formType+"; charset=utf-8", "Basic c2Vk%ZTp4", "client_id=sede")
	f.Fuzz(func(t *testing.T, kind, authorization, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, pushPath, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		v := &visit{now: time.Now()}
		form, err := readForm(r)
		if err == nil {
			err = v.readClient(r, form)
		}
		if err == nil {
			err = v.readParameters(form)
		}
		if told := (*oauthError)(nil); err != nil && (!errors.As(err, &told) || told.Code == "") {
			t.Fatalf("got %v, want an error of the RFCs", err)
		}
		if err != nil {
			return
		}
		for name, values := range form {
			if len(values) != 1 || strings.ContainsRune(name+values[0], 0) {
				t.Errorf("admitted %q as %q", name, values)
			}
		}
		if id := form.Get("client_id"); v.shown != byBasic && (len(id) > maxClientID || !printable(id)) {
			t.Errorf("admitted the client %q", id)
		}
		if strings.ContainsAny(v.title+v.locale, "\r\n\x00") {
			t.Errorf("admitted the words %q %q", v.title, v.locale)
		}
	})
}

const formType = "application/x-www-form-urlencoded"

// forgetful remembers nothing: every proof is new.
type forgetful struct{ Store }

func (forgetful) Seen(context.Context, []byte, time.Time) (bool, error) { return true, nil }

// A proof is the key's to whom the token is bound, of this request and of now, or
// it is refused; nothing that is shown in its place does more.
func FuzzProof(f *testing.F) {
	const token = "0123456789012345678901234567890123456789012"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1_795_000_000, 0)
	s := &Server{Issuer: "https://firma.example.es", Store: forgetful{}, Now: func() time.Time { return now }}
	signed := func(claims map[string]any, embed bool) string {
		signing, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: embed}).WithType("dpop+jwt"))
		if err != nil {
			f.Fatal(err)
		}
		text, err := jwt.Signed(signing).Claims(claims).Serialize()
		if err != nil {
			f.Fatal(err)
		}
		return text
	}
	good := map[string]any{"jti": "1", "iat": now.Unix(), "htm": "GET", "htu": "https://firma.example.es/v1/x", "ath": "x"}
	f.Add(signed(good, true), "GET", "/v1/x")
	f.Add(signed(good, false), "GET", "/v1/x")
	f.Add(signed(map[string]any{"iat": "now", "htm": 7, "jti": nil}, true), "POST", "/v1/x?y#z")
	f.Add("eyJhbGciOiJub25lIn0.e30.", "GET", "/")
	f.Add("..", "", "%")
	f.Fuzz(func(t *testing.T, proof, method, target string) {
		address, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := (&http.Request{Method: method, URL: address, Header: http.Header{"Dpop": {proof}}}).WithContext(t.Context())
		err = s.proof(r, token, signer.ShownToken{KeyThumbprint: strings.Repeat("A", 43)})
		if !errors.Is(err, policies.Refuse(policies.ApplicationUnknown)) {
			t.Errorf("got %v, want it refused: no key has that thumbprint", err)
		}
		s.sameURI(proof, r)
	})
}
