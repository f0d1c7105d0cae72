package sede

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// The identifiers of SHA-256 and of RSA in the consortium's API.
const (
	oidSHA256 = "2.16.840.1.101.3.4.2.1"
	oidRSA    = "1.2.840.113549.1.1.1"
)

// consortium is the other door: OAuth 2 and the API of the Cloud Signature
// Consortium, version 2, as a product that knows nothing of this service uses them.
type consortium struct {
	config Config
	http   *http.Client

	mu      sync.Mutex
	waiting map[string]journey // by state
}

// journey is an authorisation that a citizen is about to give.
type journey struct {
	record     record
	content    []byte
	credential string
	verifier   string
	began      time.Time
}

// ConsortiumReturnURL is where browsers come back to from that door.
func ConsortiumReturnURL(self string) string { return self + "/vuelta/oauth" }

// patience is for how long a citizen may take.
const patience = time.Hour

func (d *consortium) keep(state string, j journey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for old, other := range d.waiting {
		if j.began.Sub(other.began) > patience {
			delete(d.waiting, old)
		}
	}
	d.waiting[state] = j
}

// take gives a journey once.
func (d *consortium) take(state string) (journey, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	j, ok := d.waiting[state]
	delete(d.waiting, state)
	return j, ok
}

// begin asks for a PDF's signature and gives the address to which the citizen goes.
func (d *consortium) begin(ctx context.Context, r record, pdf []byte) (string, error) {
	credential, err := d.credential(ctx, r.Signer)
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(pdf)
	details, err := json.Marshal([]any{map[string]any{
		"type": "credential", "credentialID": credential, "hashAlgorithmOID": oidSHA256,
		"documentDigests": []any{map[string]string{"hash": base64.StdEncoding.EncodeToString(hash[:]), "label": r.Name}},
	}})
	if err != nil {
		return "", fmt.Errorf("writing what is asked for: %w", err)
	}
	state, verifier := rand.Text(), rand.Text()+rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	var pushed struct {
		URI string `json:"request_uri"`
	}
	err = d.form(ctx, "/oauth/par", url.Values{
		"response_type": {"code"}, "scope": {"credential"}, "state": {state}, "redirect_uri": {ConsortiumReturnURL(d.config.Self)},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
		"authorization_details": {string(details)}, "description": {r.Title}, "lang": {"es"},
	}, &pushed)
	if err != nil {
		return "", err
	}
	d.keep(state, journey{record: r, content: pdf, credential: credential, verifier: verifier, began: r.AskedAt})
	return d.config.Service + "/oauth/authorize?" + url.Values{"client_id": {d.config.ID}, "request_uri": {pushed.URI}}.Encode(), nil
}

// credential asks which one a citizen signs with.
func (d *consortium) credential(ctx context.Context, signer string) (string, error) {
	var token struct {
		Value string `json:"access_token"`
	}
	if err := d.form(ctx, "/oauth/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"service"}}, &token); err != nil {
		return "", err
	}
	var list struct {
		IDs []string `json:"credentialIDs"`
	}
	if err := d.call(ctx, "credentials/list", token.Value, map[string]any{"userID": signer}, &list); err != nil {
		return "", err
	}
	if len(list.IDs) == 0 {
		return "", &client.Problem{
			Title:  "Esa persona no tiene todavía certificado de firma",
			Detail: new("Por esta puerta firma quien ya lo tiene."), Remedy: new("Firme una vez por la interfaz propia: allí se le ofrecerá."),
		}
	}
	return list.IDs[0], nil
}

// errStrayed is a return that nobody here waits for, or from somebody else (RFC
// 9207).
var errStrayed = errors.New("nobody waits for this answer of an authorisation server")

// finish turns what the browser brought back into a signed PDF.
func (d *consortium) finish(ctx context.Context, back url.Values) (j journey, signed []byte, err error) {
	j, ok := d.take(back.Get("state"))
	if !ok || back.Get("iss") != d.config.Service {
		return j, nil, errStrayed
	}
	if back.Get("error") == "access_denied" {
		return j, nil, &client.Problem{Title: "Ha rechazado la firma", Remedy: new("Puede pedirla otra vez cuando quiera.")}
	}
	if back.Get("error") != "" {
		return j, nil, &client.Problem{Title: "La firma no se ha autorizado", Detail: new("Motivo: " + back.Get("error"))}
	}
	var sad struct {
		Value string `json:"access_token"`
	}
	err = d.form(ctx, "/oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "code_verifier": {j.verifier},
		"redirect_uri": {ConsortiumReturnURL(d.config.Self)},
	}, &sad)
	if err != nil {
		return j, nil, err
	}
	var answer struct {
		Documents [][]byte `json:"DocumentWithSignature"`
	}
	err = d.call(ctx, "signatures/signDoc", sad.Value, map[string]any{
		"credentialID": j.credential,
		"documents": []any{map[string]any{
			"document": j.content, "signature_format": "P", "conformance_level": "Ades-B-LTA", "signed_envelope_property": "Revision",
			"hashAlgorithmOID": oidSHA256, "signAlgo": oidRSA,
		}},
	}, &answer)
	if err == nil && len(answer.Documents) != 1 {
		err = fmt.Errorf("one document was to be signed, %d came back", len(answer.Documents))
	}
	if err != nil {
		return j, nil, err
	}
	return j, answer.Documents[0], nil
}

// form posts to the authorisation server as this application.
func (d *consortium) form(ctx context.Context, path string, fields url.Values, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.config.Service+path, strings.NewReader(fields.Encode()))
	if err != nil {
		return fmt.Errorf("asking the authorisation server: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(d.config.ID), url.QueryEscape(d.config.Secret)) // RFC 6749, section 2.3.1
	return d.do(request, into)
}

// call asks one method of the API.
func (d *consortium) call(ctx context.Context, method, token string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("writing a call: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.config.Service+"/csc/v2/"+method, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("calling %s: %w", method, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	return d.do(request, into)
}

// largest bounds an answer: a signed document in base64.
const largest = 64 << 20

func (d *consortium) do(request *http.Request, into any) error {
	response, err := d.http.Do(request)
	if err != nil {
		return fmt.Errorf("calling the service: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, largest))
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		var told struct {
			Code        string `json:"error"`
			Description string `json:"error_description"`
		}
		if json.Unmarshal(text, &told) != nil || told.Code == "" {
			return fmt.Errorf("the service answers %d", response.StatusCode)
		}
		return &client.Problem{
			Title: "El servicio no admite la petición", Detail: &told.Description, Code: told.Code,
			Remedy: new("Compruebe el DNI o NIE de quien firma."),
		}
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	return nil
}
