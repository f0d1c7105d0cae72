package oauth_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/csc"
	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// door is that of the Cloud Signature Consortium over this server.
type door struct{ *oauth.Server }

func (d door) Consent(ctx context.Context, token string) (csc.Consent, error) {
	found, err := d.Server.Consent(ctx, token)
	return csc.Consent{ClientID: found.ClientID, SAD: found.SAD, ExpiresAt: found.ExpiresAt}, err
}

func (d door) Carry(ctx context.Context, c csc.Consent) (string, error) {
	return d.Server.Carry(ctx, oauth.Consent{ClientID: c.ClientID, SAD: c.SAD, ExpiresAt: c.ExpiresAt})
}

func (h *house) door(now func() time.Time) *csc.Door {
	return csc.New(csc.Config{
		Store: h.public, Authority: door{h.server}, Name: "Rúbrica", Logo: "/logo.svg", Region: "ES", Description: "Firma",
		DocumentBytes: 256 << 10, Logger: slog.New(slog.DiscardHandler), Now: now,
	})
}

// A token that is bound to a key is no good at the door without a proof of that
// key for this very call.
func TestDPoPAtTheDoor(t *testing.T) {
	t.Parallel()
	h := build(t)
	a, other := h.add("sede", nil), h.add("otra", nil)
	token := h.redeem(a, redeeming(h.service(a))).text("access_token")
	const list, info = "/csc/v2/credentials/list", "/csc/v2/credentials/info"
	call := func(scheme string, proofs ...string) reply {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, list, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", scheme+" "+token)
		for _, proof := range proofs {
			r.Header.Add("DPoP", proof)
		}
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		return replyOf(w)
	}
	proof := func(changes ...string) string {
		claims := map[string]any{"htm": "POST", "htu": issuer + list, "jti": rand.Text(), "iat": time.Now().Unix(), "ath": challengeOf(token)}
		for i := 0; i < len(changes); i += 2 {
			claims[changes[i]] = changes[i+1]
		}
		return h.proofOf(a, claims)
	}
	good := proof()
	if got := call("DPoP", good); got.status != http.StatusOK {
		t.Fatalf("a good proof: got %d %s", got.status, got.body)
	}
	for name, proofs := range map[string][]string{
		"replayed": {good}, "none": nil, "two": {proof(), proof()},
		"another address": {proof("htu", issuer+info)}, "version 1": {proof("htu", issuer+"/csc/v1/credentials/list")},
		"another host": {proof("htu", "https://otra.example.es"+list)}, "another method": {proof("htm", "GET")},
		"another token": {proof("ath", challengeOf("x"))},
		"another's key": {h.proof(other, http.MethodPost, issuer+list, token)}, "the server's": {h.proof(a, http.MethodPost, issuer+"/oauth/token", token)},
	} {
		wantError(t, name, call("DPoP", proofs...), 401, "invalid_token")
	}
	wantError(t, "borne by anybody", call("Bearer"), 401, "invalid_token")
	wantError(t, "borne by anybody, with a proof", call("Bearer", proof()), 401, "invalid_token")
}

// At the door's address of the token endpoint a proof is of that address.
func TestDPoPAtTheAlias(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", func(c *signer.Client) { c.Switches = []string{signer.SwitchCSC1} })
	for _, path := range []string{"/csc/v1/oauth2/token", "/csc/v2/oauth2/token"} {
		ask := func(proof string) reply {
			return h.ask(http.MethodPost, path, h.asserted(a, redeeming(h.service(a))), "DPoP", proof)
		}
		good := h.proof(a, http.MethodPost, issuer+path, "")
		got := ask(good)
		if got.status != http.StatusOK || got.text("token_type") != "DPoP" || got.text("scope") != api.ScopeService {
			t.Fatalf("%s: got %d %s, want a token bound to the key", path, got.status, got.body)
		}
		if r := h.whoami(a, got.text("access_token")); r.status != http.StatusOK {
			t.Errorf("%s: its token: got %d %s", path, r.status, r.body)
		}
		for name, proof := range map[string]string{
			"replayed": good, "of the server's own": h.proof(a, http.MethodPost, issuer+"/oauth/token", ""),
			"of another method": h.proof(a, http.MethodGet, issuer+path, ""), "of another": h.proof(a, http.MethodPost, issuer+path+"/x", ""),
			"of another host": h.proof(a, http.MethodPost, "https://otra.example.es"+path, ""),
		} {
			wantError(t, path+": "+name, ask(proof), 400, "invalid_dpop_proof")
		}
	}
	wantError(t, "at the server's own, of the door's", h.ask(http.MethodPost, "/oauth/token", h.asserted(a, redeeming(h.service(a))),
		"DPoP", h.proof(a, http.MethodPost, issuer+"/csc/v2/oauth2/token", "")), 400, "invalid_dpop_proof")
}

// numSignatures has to be the number of hashes, wherever it is said.
func TestNumSignatures(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", func(c *signer.Client) { c.Switches = []string{signer.SwitchCSC1} })
	hash := strings.Repeat("A", 43)
	for path, hashes := range map[string]string{"/csc/v1/oauth2/pushed_authorize": "hash", "/csc/v2/oauth2/pushed_authorize": "hashes"} {
		for number, want := range map[string]int{
			"1": 1, "2": 2, "100": 100, "0": -1, "-1": -1, "2147483648": -1, "9223372036854775808": -1, "1.0": -1, "uno": -1, "": 3,
		} {
			v := asking(api.ScopeService)
			v.Set("scope", api.ScopeCredential)
			v.Set("credentialID", "cred-1")
			v.Set("hashAlgorithmOID", signer.SHA256)
			v.Set("numSignatures", number)
			right := max(1, want)
			for _, n := range []int{right, right + 1} {
				v.Set(hashes, distinct(hash, n))
				got := h.ask(http.MethodPost, path, h.asserted(a, v))
				if good := want == n || number == "" && n <= 100; good != (got.status == http.StatusCreated) {
					t.Errorf("%s: %q for %d hashes: got %d %s", path, number, n, got.status, got.body)
				} else if !good {
					wantError(t, path+": "+number, got, 400, "invalid_authorization_details")
				}
			}
		}
	}
}

// A hash is base64url, with its padding or without; the alphabet of the details is
// understood, a mixture is not, and nothing that two readers could read differently.
func TestAlphabets(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", nil)
	for hash, good := range map[string]bool{
		strings.Repeat("_-8", 14) + "w": true, strings.Repeat("_-8", 14) + "w=": true, strings.Repeat("/+8", 14) + "w=": true, strings.Repeat("/+8", 14) + "w": false,
		"_" + strings.Repeat("/+8", 14) + "=": false, "_+8" + strings.Repeat("_-8", 13) + "w=": false, strings.Repeat("_-8", 14) + "w==": false,
		strings.Repeat("_-8", 14) + "x": false, strings.Repeat("_-8", 13) + "_-\n8w": false, strings.Repeat("_-8", 14) + " w": false, strings.Repeat("_-8", 14): false,
	} {
		v := asking(api.ScopeService)
		v.Set("scope", api.ScopeCredential)
		v.Set("credentialID", "cred-1")
		v.Set("hashAlgorithmOID", signer.SHA256)
		v.Set("hashes", hash)
		got := h.ask(http.MethodPost, "/csc/v2/oauth2/pushed_authorize", h.asserted(a, v))
		if good != (got.status == http.StatusCreated) {
			t.Errorf("%q: got %d %s", hash, got.status, got.body)
		} else if !good {
			wantError(t, hash, got, 400, "invalid_authorization_details")
		}
	}
}

// distinct are n hashes, no two alike.
func distinct(hash string, n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	out := make([]string, n)
	for i := range out {
		out[i] = string(alphabet[i/64]) + string(alphabet[i%64]) + hash[2:]
	}
	return strings.Join(out, ",")
}

// Version 1 has no parameter for the hash algorithm: the length says it. What is
// wrong with a request that was not pushed is told at the application's own address,
// and nowhere else.
func TestHashesByTheirLength(t *testing.T) {
	t.Parallel()
	h := build(t)
	a := h.add("sede", func(c *signer.Client) { c.Switches = []string{signer.SwitchCSC1, signer.SwitchNoPAR} })
	hash := func(size int) string { return base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{7}, size)) }
	ask := func(change func(url.Values)) reply {
		v := asking(api.ScopeService)
		v.Set("scope", api.ScopeCredential)
		v.Set("client_id", a.ID)
		v.Set("credentialID", "cred-1")
		change(v)
		return h.ask(http.MethodGet, "/csc/v1/oauth2/authorize?"+v.Encode(), nil)
	}
	for hashes, good := range map[string]bool{
		hash(32): true, hash(48): true, hash(64): true, hash(64) + "," + hash(63) + "w": false, hash(20): false, hash(33): false,
		hash(32) + "," + hash(64): false, hash(64) + "," + hash(32): false,
	} {
		got := ask(func(v url.Values) { v.Set("hash", hashes) })
		back, err := url.Parse(got.header.Get("Location"))
		if err != nil || got.status != http.StatusSeeOther {
			t.Fatalf("%s: got %d %s, want to be sent somewhere", hashes, got.status, got.body)
		}
		q := back.Query()
		if wrong := q.Get("error") == "invalid_authorization_details" && q.Get("state") != "" && q.Get("iss") == issuer && q.Get("error_description") != "" &&
			strings.HasPrefix(callback, back.Scheme+"://"+back.Host+back.Path+"?") && q.Get("paso") == "2"; good == wrong {
			t.Errorf("%s: got sent to %s", hashes, back)
		}
	}
	got := ask(func(v url.Values) {
		v.Set("authorization_details", `[{"type":"credential","credentialID":"cred-1","documentDigests":[],"`+strings.Repeat("ñ\n", 500)+`":1}]`)
	})
	back, err := url.Parse(got.header.Get("Location"))
	h.must(err)
	if said := back.Query().Get("error_description"); said == "" || len(said) > 200 || strings.ContainsFunc(said, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		t.Errorf("a member that nobody knows: got %q, want a short description in ASCII", said)
	}
	short := func(v url.Values) { v.Set("hash", hash(20)) }
	for name, change := range map[string]func(url.Values){
		"an address of nobody":     func(v url.Values) { v.Set("redirect_uri", "https://atacante.es/") },
		"two addresses":            func(v url.Values) { v.Add("redirect_uri", callback) },
		"no address":               func(v url.Values) { v.Del("redirect_uri") },
		"an application of nobody": func(v url.Values) { v.Set("client_id", "nadie") },
	} {
		if got := ask(func(v url.Values) { short(v); change(v) }); got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
			t.Errorf("%s: got %d to %q, want a page", name, got.status, got.header.Get("Location"))
		}
	}
	h.must(h.owner.Administration(store.Operator{}).Switch(t.Context(), a.ID, signer.SwitchNoPAR, false, time.Now()))
	if got := ask(short); got.status != http.StatusBadRequest {
		t.Errorf("of one that has to push: got %d to %q, want a page", got.status, got.header.Get("Location"))
	}
}
