package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
	"github.com/rubrica-firma/rubrica/signer"
)

// portfolio is an application of the Cloud Signature Consortium's interface that may
// ask citizens to have a certificate made, and to give it up (API v2.2, scopes
// credential_creation and credential_deletion).
type portfolio struct {
	*testing.T
	thread.Account

	verifier string // of the code that is on its way
}

func newPortfolio(t *testing.T) *portfolio {
	t.Helper()
	p := &portfolio{T: t, Account: newApplication(t, "Portafirmas", "--return-url", shared.world.ReturnURL, "--scope", "service,credential")}
	cli(t, "app", "switch", p.ID, "credentials", "on")
	return p
}

// form posts one as the application, and reads the answer.
func (p *portfolio) form(path string, form url.Values) map[string]any {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodPost, shared.world.Service+"/csc/v2/oauth2/"+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.Fatal(err)
	}
	r.SetBasicAuth(p.ID, p.Secret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, answer := p.ask(r)
	if status >= http.StatusBadRequest {
		p.Fatalf("%s: got %d %v", path, status, answer)
	}
	return answer
}

func (p *portfolio) ask(r *http.Request) (status int, answer map[string]any) {
	p.Helper()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, nil // it died
	}
	defer func() { _ = response.Body.Close() }()
	_ = json.NewDecoder(response.Body).Decode(&answer) // nothing, of 204
	return response.StatusCode, answer
}

// send brings a citizen to the page of an authorisation request.
func (p *portfolio) send(c *thread.Citizen, scope string, more url.Values) *walker {
	p.Helper()
	b := p.open(scope, more)
	says(p.T, b, http.StatusOK, "Portafirmas")
	return &walker{Citizen: c, browser: b, request: &client.SignatureRequest{SigningURL: b.URL().String()}, since: time.Now()}
}

// open pushes an authorisation request and follows it with a browser.
func (p *portfolio) open(scope string, more url.Values) *thread.Browser {
	p.Helper()
	p.verifier = rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(p.verifier))
	asked := url.Values{
		"response_type": {"code"}, "redirect_uri": {shared.world.ReturnURL}, "scope": {scope}, "state": {"estado"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	maps.Copy(asked, more)
	uri, _ := p.form("pushed_authorize", asked)["request_uri"].(string)
	b := plainBrowser(p.T)
	open(p.T, b, shared.world.Service+"/csc/v2/oauth2/authorize?"+url.Values{"client_id": {p.ID}, "request_uri": {uri}}.Encode())
	return b
}

// token redeems the code that a browser has brought back.
func (p *portfolio) token(w *walker) (token, credential string) {
	p.Helper()
	back := w.browser.URL().Query()
	if back.Get("state") != "estado" || back.Get("code") == "" {
		p.Fatalf("got %s, want a code", w.browser.URL())
	}
	answer := p.form("token", url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "redirect_uri": {shared.world.ReturnURL}, "code_verifier": {p.verifier},
	})
	token, _ = answer["access_token"].(string)
	credential, _ = answer["credentialID"].(string)
	return token, credential
}

// call is one of the interface.
func (p *portfolio) call(method, token string, body map[string]any) (status int, answer map[string]any) {
	p.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		p.Fatal(err)
	}
	r, err := http.NewRequestWithContext(p.Context(), http.MethodPost, shared.world.Service+"/csc/v2/"+method, bytes.NewReader(text))
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	return p.ask(r)
}

// qualified asks for signatures of a kind: of that of the citizen's certificate, and
// of another, which ends before the citizen is asked to sign, as does what is meant
// for another citizen.
func (p *portfolio) qualified(c *thread.Citizen, credential string) {
	p.Helper()
	digest := sha256.Sum256([]byte("uno"))
	asked := url.Values{"hashes": {base64.RawURLEncoding.EncodeToString(digest[:])}, "hashAlgorithmOID": {signer.SHA256}, "numSignatures": {"1"}}
	for qualifier, want := range map[string]string{"eu_eidas_aes": "/firma/", "eu_eidas_aesqc": "credential_missing", "eu_eidas_qes": "credential_missing"} {
		asked.Set("signatureQualifier", qualifier)
		w := p.send(c, "credential", asked)
		submit(p.T, w.browser, form{"identifier": c.Identifier, "password": c.Password})
		if got := w.browser.URL().String(); !strings.Contains(got, want) {
			p.Errorf("%s: got %s, want %s", qualifier, got, want)
		}
	}
	asked.Del("signatureQualifier")
	asked["credentialID"], asked["account"] = []string{credential}, []string{"99999999R"}
	if got := p.open("credential", asked).URL().Query(); got.Get("error") != "access_denied" || got.Get("error_description") != "not_the_signer" {
		p.Errorf("of another citizen's credential: got %v, want it refused", got)
	}
}

// lists are the credentials of a citizen, as the application speaks for itself.
func (p *portfolio) lists(c *thread.Citizen) []any {
	p.Helper()
	token, _ := p.form("token", url.Values{"grant_type": {"client_credentials"}, "scope": {"service"}})["access_token"].(string)
	_, answer := p.call("credentials/list", token, map[string]any{"userID": c.Identifier})
	list, _ := answer["credentialIDs"].([]any)
	return list
}

// creation and deletion are the calls that tell what has been done.
func creation(c *thread.Citizen) map[string]any {
	return map[string]any{"certInfo": true, "credentialInfo": true, "credentialCreationRequest": map[string]any{
		"certificatePolicy": "0.4.0.2042.1.2" /* NCP+ */, "subjectData": map[string]any{"givenName": c.GivenName, "surname": c.Surnames, "issuingCountry": "ES"},
	}}
}

func deletion(credential string) map[string]any {
	return map[string]any{"credentialDeletionRequest": map[string]any{"credentialID": credential}}
}

// wants checks a status and, of a refusal, what is said.
func (p *portfolio) wants(what string, status int, answer map[string]any, want int, says string) {
	p.Helper()
	if told, _ := answer["error_description"].(string); status != want || told != says {
		p.Errorf("%s: got %d %v, want %d %s", what, status, answer, want, says)
	}
}

const used = "Invalid parameter SAD"

// TestErrands has an application ask a citizen to have a certificate made, and to
// give it up. It is done when the citizen confirms, and the application hears of it
// once.
func TestErrands(t *testing.T) {
	t.Parallel()
	p, c := newPortfolio(t), active(t)

	no := p.send(c, "credential_creation", nil)
	press(t, no.browser, "/no")
	if got := no.browser.URL().Query().Get("error"); got != "access_denied" {
		t.Errorf("declined: got %q, want access_denied", got)
	}

	w := p.send(c, "credential_creation", nil)
	w.finishErrand(t)
	if told := messages(t, c)[0].Text; !strings.Contains(told, "Ayuntamiento") {
		t.Errorf("got SMS %q, want who asks in it", told)
	}
	made := shared.query(t, issuedTo, c.Identifier)
	token, credential := p.token(w)
	list := p.lists(c)
	if made != 1 || len(list) != 1 || list[0] != credential {
		t.Fatalf("got %d certificates and %v before the application asked, want %s", made, list, credential)
	}
	wrong := creation(c)
	wrong["credentialCreationRequest"] = map[string]any{"certificatePolicy": "1.2.3"}
	status, answer := p.call("credentials/create", token, wrong)
	p.wants("another policy", status, answer, http.StatusBadRequest, "Invalid parameter certificatePolicy")
	status, answer = p.call("credentials/create", token, creation(c))
	p.wants("creating", status, answer, http.StatusCreated, "")
	if info, _ := answer["credentialInfo"].(map[string]any); answer["credentialID"] != credential || info["cert"] == nil {
		t.Errorf("got %v, want the credential and its certificate", answer)
	}
	status, answer = p.call("credentials/create", token, creation(c))
	p.wants("creating again", status, answer, http.StatusBadRequest, used)
	status, answer = p.call("credentials/delete", token, deletion(credential))
	p.wants("deleting with that", status, answer, http.StatusForbidden, "The access token does not reach this far")
	if got := shared.query(t, issuedTo, c.Identifier); got != 1 {
		t.Errorf("got %d certificates, want 1", got)
	}

	another := p.send(c, "credential_creation", nil)
	submit(t, another.browser, form{"identifier": c.Identifier, "password": c.Password})
	says(t, another.browser, http.StatusForbidden, "Ya tiene un certificado")

	p.qualified(c, credential)

	stranger := p.send(active(t), "credential_deletion", url.Values{"credentialID": {credential}})
	submit(t, stranger.browser, form{"identifier": stranger.Identifier, "password": stranger.Password})
	if got := stranger.browser.Status(); got != http.StatusForbidden {
		t.Errorf("deleting another's: got %d, want 403", got)
	}

	w = p.send(c, "credential_deletion", url.Values{"credentialID": {credential}})
	w.finishErrand(t)
	if got := shared.query(t, revokedOf, c.Identifier); got != 1 {
		t.Errorf("got %d certificates revoked, want 1", got)
	}
	token, _ = p.token(w)
	status, answer = p.call("credentials/delete", token, deletion("another"))
	p.wants("deleting another", status, answer, http.StatusBadRequest, "Invalid parameter credentialID")
	status, answer = p.call("credentials/delete", token, deletion(credential))
	p.wants("deleting", status, answer, http.StatusNoContent, "")
	status, answer = p.call("credentials/delete", token, deletion(credential))
	p.wants("deleting again", status, answer, http.StatusBadRequest, used)
	if list := p.lists(c); len(list) != 0 {
		t.Errorf("got %v, want no credential", list)
	}
}

const (
	certificatesOf = `SELECT count(*) FROM certificates z JOIN credentials k ON k.id = z.credential_id JOIN citizens p ON p.id = k.citizen_id WHERE p.identifier = $1`
	issuedTo       = certificatesOf + ` AND z.state = 'issued'`
	revokedOf      = certificatesOf + ` AND z.revoked_at IS NOT NULL AND k.state = 'destroyed' AND z.status_version = 2`
)

// finishErrand goes on until the browser is back at the application.
func (w *walker) finishErrand(t *testing.T) {
	t.Helper()
	for range 10 {
		if w.mustStep(t) {
			return
		}
	}
	t.Fatalf("the citizen is not sent back: %s: %s", w.browser.URL().Path, w.browser.Text())
}
