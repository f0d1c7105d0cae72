package sede_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/dev/sede"
)

// grants is what the peer's authorisation server gives tokens for.
func (*peer) grants(r *http.Request) bool {
	if r.FormValue("grant_type") == "authorization_code" {
		return r.FormValue("code") == "c0de" && len(r.FormValue("code_verifier")) >= 43 && r.FormValue("redirect_uri") == "https://sede.test/vuelta/oauth"
	}
	return r.FormValue("grant_type") == "client_credentials" && (r.FormValue("scope") == "signature" || r.FormValue("scope") == "service")
}

// consortium plays the other door. What it calls signed is the document itself.
func (p *peer) consortium(mux *http.ServeMux) {
	p.pushed = make(chan url.Values, 1)
	mux.HandleFunc("POST /oauth/par", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		p.pushed <- r.PostForm
		fmt.Fprint(w, `{"request_uri":"urn:x","expires_in":90}`)
	})
	mux.HandleFunc("POST /csc/v2/credentials/list", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ UserID string }
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.UserID != "12345678Z" {
			fmt.Fprint(w, `{"credentialIDs":[]}`)
			return
		}
		fmt.Fprint(w, `{"credentialIDs":["CRED"]}`)
	})
	mux.HandleFunc("POST /csc/v2/signatures/signDoc", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Documents []struct{ Document string }
		}
		if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Documents) != 1 || r.Header.Get("Authorization") != "Bearer abc" {
			http.Error(w, `{"error":"invalid_request","error_description":"no"}`, http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"DocumentWithSignature":[%q]}`, body.Documents[0].Document)
	})
}

// TestConsortium signs the sample by OAuth and the consortium's API.
func TestConsortium(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	server := newSede(t, p)
	response := ask(t, server, url.Values{"identifier": {"12345678z"}, "title": {"Beca"}, "door": {"csc"}}, "", "")
	if got, want := response.Header.Get("Location"), p.URL+"/oauth/authorize?client_id=sede&request_uri=urn%3Ax"; got != want {
		t.Fatalf("got %d to %q, want %q", response.StatusCode, got, want)
	}
	pushed := <-p.pushed
	_, pdf := sede.Sample()
	hash := sha256.Sum256(pdf)
	if got := pushed.Get("authorization_details"); !strings.Contains(got, base64.StdEncoding.EncodeToString(hash[:])) || !strings.Contains(got, `"CRED"`) {
		t.Errorf("got details %s, want the sample's hash and the credential", got)
	}
	back := url.Values{"code": {"c0de"}, "state": {pushed.Get("state")}, "iss": {"https://elsewhere.test"}}
	for name, query := range map[string]string{
		"a state of nobody's": url.Values{"code": {"c0de"}, "state": {"x"}, "iss": {p.URL}}.Encode(), "nothing": "",
	} {
		if status, _ := get(t, server, "/vuelta/oauth?"+query); status != http.StatusNotFound {
			t.Errorf("%s: got %d, want %d", name, status, http.StatusNotFound)
		}
	}
	if status, _ := get(t, server, "/vuelta/oauth?"+back.Encode()); status != http.StatusNotFound {
		t.Errorf("another issuer: got %d, want %d", status, http.StatusNotFound)
	}

	// A journey is used up even by a wrong answer: the citizen begins anew.
	ask(t, server, url.Values{"identifier": {"12345678z"}, "title": {"Beca"}, "door": {"csc"}}, "", "")
	back.Set("state", (<-p.pushed).Get("state"))
	back.Set("iss", p.URL)
	answer, err := server.Client().Get(server.URL + "/vuelta/oauth?" + back.Encode())
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	result := answer.Header.Get("Location")
	if !strings.HasPrefix(result, "/vuelta?request=") {
		t.Fatalf("got %d to %q, want the result", answer.StatusCode, result)
	}
	if _, page := get(t, server, result); !strings.Contains(page, "Solicitud firmada") || !strings.Contains(page, "OAuth 2 y CSC v2") {
		t.Errorf("got a page without the result:\n%s", page)
	}
	if _, got := get(t, server, "/expediente/"+strings.TrimPrefix(result, "/vuelta?request=")+"/1"); got != string(pdf) {
		t.Errorf("got %d octets, want what was signed, %d", len(got), len(pdf))
	}
	if response := ask(t, server, url.Values{"identifier": {"00000000T"}, "title": {"Beca"}, "door": {"csc"}}, "", ""); response.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("somebody without a certificate: got %d, want %d", response.StatusCode, http.StatusUnprocessableEntity)
	}
}

// TestSeveral has two documents signed in one confirmation.
func TestSeveral(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	ask(t, newSede(t, p), url.Values{"identifier": {"12345678Z"}, "title": {"Beca"}, "door": {"varios"}}, "", "")
	if documents, _ := (<-p.orders)["documents"].([]any); len(documents) != 2 {
		t.Errorf("got %d documents, want 2", len(documents))
	}
}

// TestNotices tells the sede of a signature, truly and otherwise.
func TestNotices(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kid":"k","crv":"P-256","x":%q,"y":%q}]}`,
			base64.RawURLEncoding.EncodeToString(public[1:33]), base64.RawURLEncoding.EncodeToString(public[33:]))
	}))
	t.Cleanup(service.Close)
	p := newPeer(t)
	p.URL = service.URL
	server := newSede(t, p)

	for _, c := range []struct {
		name, kid string
		shift     time.Duration
		change    func(*http.Request)
		want      int
		page      string
	}{
		{"the service's", "k", 0, func(*http.Request) {}, http.StatusNoContent, "<code>req-1</code>, pedida fuera de esta página"},
		{"once more", "k", 0, func(*http.Request) {}, http.StatusNoContent, "2 veces"},
		{"not signed", "k", 0, func(r *http.Request) { r.Header.Del("Signature") }, http.StatusBadRequest, "no está firmado"},
		{"another content", "k", 0, func(r *http.Request) { r.Header.Set("Content-Digest", "sha-256=:x:") }, http.StatusBadRequest, "la firma no es correcta"},
		{"another key", "other", 0, func(*http.Request) {}, http.StatusBadRequest, "la clave no está publicada"},
		{"of yesterday", "k", -24 * time.Hour, func(*http.Request) {}, http.StatusBadRequest, "la firma es de otro momento"},
	} {
		body := `{"id":"e1","type":"signature_request.signed","request_id":"req-1","state":"signed","sequence":1}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/avisos", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		sign(t, r, body, key, c.kid, time.Now().Add(c.shift))
		c.change(r)
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if _, page := get(t, server, "/avisos"); response.StatusCode != c.want || !strings.Contains(page, c.page) {
			t.Errorf("%s: got %d, want %d and a page with %q:\n%s", c.name, response.StatusCode, c.want, c.page, page)
		}
	}
}

// sign does what RFC 9421 says.
func sign(t *testing.T, r *http.Request, body string, key *ecdsa.PrivateKey, kid string, at time.Time) {
	t.Helper()
	digest := sha256.Sum256([]byte(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":")
	input := fmt.Sprintf(`("@method" "@target-uri" "content-type" "content-digest");created=%d;expires=%d;keyid=%q;alg="ecdsa-p256-sha256";tag="rubrica-webhook"`,
		at.Unix(), at.Add(5*time.Minute).Unix(), kid)
	base := fmt.Sprintf("\"@method\": POST\n\"@target-uri\": https://sede.test/avisos\n\"content-type\": application/json\n\"content-digest\": %s\n\"@signature-params\": %s",
		r.Header.Get("Content-Digest"), input)
	hash := sha256.Sum256([]byte(base))
	x, y, err := ecdsa.Sign(rand.Reader, key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	value := append(x.FillBytes(make([]byte, 32)), y.FillBytes(make([]byte, 32))...)
	r.Header.Set("Signature-Input", "rubrica="+input)
	r.Header.Set("Signature", "rubrica=:"+base64.StdEncoding.EncodeToString(value)+":")
}
