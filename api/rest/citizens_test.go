package rest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

const actsPath = "/v1/office/acts"

// act is a JWS whose signature is for the signer to look at, not for the door.
func act(payload string) string {
	return strings.Join([]string{
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"rubrica-office-act+jws"}`)),
		base64.RawURLEncoding.EncodeToString([]byte(payload)),
		base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
	}, ".")
}

// ordered is an act of the office, with its own members.
func ordered(kind, members string) string {
	return act(fmt.Sprintf(`{"iss":"office","aud":"https://firma.example.es","iat":%d,"jti":%q,"act":%q,"officer":"Rosa Gil",%s}`,
		time.Now().Unix(), rand.Text(), kind, members))
}

func TestOfficeActs(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "office")
	form := func(change ...string) string {
		text := `{"identifier":"x1234567l","given_name":"María","surnames":"Pérez Núñez","phone":"612 345 678",` +
			`"email":"Maria@Example.org","document_until":"2031-05-20","locale":"gl"}`
		return ordered("register", `"citizen":`+strings.NewReplacer(change...).Replace(text))
	}
	post := func(t *testing.T, body string) reply {
		t.Helper()
		asked := headers(token, "")
		asked["Content-Type"] = "application/jose"
		return h.call(t, http.MethodPost, actsPath, strings.NewReader(body), asked)
	}
	for name, tt := range map[string]struct {
		body   string
		code   policies.Code
		params map[string]string
	}{
		"check letter":     {form("x1234567l", "x1234567m"), policies.IdentifierInvalid, map[string]string{"reason": "letter"}},
		"no surnames":      {form("Pérez Núñez", ""), policies.NameInvalid, map[string]string{"field": "surnames"}},
		"landline":         {form("612 345 678", "912345678"), policies.PhoneInvalid, nil},
		"two addresses":    {form("Maria@Example.org", "a@b.es, c@d.es"), policies.EmailInvalid, nil},
		"no such day":      {form("2031-05-20", "2031-02-30"), policies.IdentityDocumentExpiry, nil},
		"day and time":     {form("2031-05-20", "2031-05-20T00:00:00Z"), policies.IdentityDocumentExpiry, nil},
		"no language":      {form(`"gl"`, `"??"`), policies.OfficeActInvalid, map[string]string{"reason": "format", "field": "/citizen/locale"}},
		"unknown member":   {form(`"locale"`, `"level"`), policies.OfficeActInvalid, map[string]string{"reason": "format", "field": "/citizen/level"}},
		"unknown act":      {ordered("sign", `"identifier":"12345678Z"`), policies.OfficeActInvalid, map[string]string{"reason": "format", "field": "/act"}},
		"another office's": {act(`{"iss":"sede","aud":"x","iat":1,"jti":"aaaaaaaaaaaaaaaaaaaaaa","act":"renew_activation","officer":"R","identifier":"12345678Z"}`), policies.OfficeActInvalid, map[string]string{"reason": "office"}},
		"no JWS":           {"{}", policies.OfficeActInvalid, map[string]string{"reason": "format"}},
		"nothing":          {"", policies.OfficeActInvalid, map[string]string{"reason": "format"}},
		"too much":         {form("María", strings.Repeat("M", citizen.ActLimit)), policies.DocumentTooLarge, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problem := wantRefusal(t, post(t, tt.body), tt.code)
			for name, want := range tt.params {
				if problem.Params == nil || (*problem.Params)[name] != want {
					t.Errorf("params: got %v, want %s %q", problem.Params, name, want)
				}
			}
		})
	}
	wantRefusal(t, h.call(t, http.MethodPost, actsPath, strings.NewReader(form()), headers(token, "")), policies.RequestMalformed) // as JSON
	if len(h.memory.acts) != 0 {
		t.Errorf("got %d acts at the signer, want none of those", len(h.memory.acts))
	}
	wantRefusal(t, post(t, ordered("renew_activation", `"identifier":"X1234567L"`)), policies.CitizenUnknown)

	registration := form()
	got := post(t, registration)
	var receipt rest.Receipt
	got.decode(t, &receipt)
	if got.status != http.StatusCreated || receipt.Identifier != "****4567*" || len(receipt.ActivationCode) != 19 || receipt.CitizenID == "" {
		t.Errorf("got %d %+v, want a receipt", got.status, receipt)
	}
	if carried := h.memory.acts[len(h.memory.acts)-1]; carried != (citizen.Act{Office: "office", JWS: registration}) {
		t.Errorf("got %+v at the signer, want the act as it came", carried)
	}
	wantRefusal(t, post(t, form()), policies.CitizenExists)
	var renewed rest.Receipt
	again := post(t, ordered("renew_activation", `"identifier":"X-1234567-L"`))
	again.decode(t, &renewed)
	if again.status != http.StatusCreated || renewed.ActivationCode == receipt.ActivationCode || renewed.Identifier != "****4567*" {
		t.Errorf("got %d %+v, want another code", again.status, renewed)
	}
	for _, kind := range []string{"block", "unblock", "suspend", "release", "deregister"} {
		if got := post(t, ordered(kind, `"identifier":"X1234567L","reason":"A petición propia."`)); got.status != http.StatusNoContent || len(got.body) != 0 {
			t.Errorf("%s: got %d %s, want 204", kind, got.status, got.body)
		}
	}
	const death = `"identifier":"X1234567L","reason":"Lo comunica su hija."`
	if got := post(t, ordered("report_death", death+`,"evidence":{"document":"Certificado 77"}`)); got.status != http.StatusNoContent {
		t.Errorf("a death: got %d %s, want 204", got.status, got.body)
	}
	wantRefusal(t, post(t, ordered("report_death", death)), policies.OfficeActInvalid)
	for _, hidden := range []string{"1234567", "345678", "345 678", "xample.org", receipt.ActivationCode, token} {
		if strings.Contains(h.journal.String(), hidden) {
			t.Errorf("the log holds %q:\n%s", hidden, h.journal)
		}
	}
}

// officeKey is a private key as credentials have it.
func officeKey(t *testing.T, curve elliptic.Curve) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// TestOfficeClient holds what the client signs against what the signer believes.
func TestOfficeClient(t *testing.T) {
	t.Parallel()
	h := build(t)
	key, text := officeKey(t, elliptic.P256())
	office, err := client.ConnectOffice(client.Account{BaseURL: h.url + "/", ID: "office", Secret: secret, HTTP: h.http}, text)
	if err != nil {
		t.Fatal(err)
	}
	identifier := spaniard
	receipt, err := office.Perform(t.Context(), client.OfficeAct{Act: client.ActRegister, Officer: "Rosa Gil", Citizen: &client.NewCitizen{
		Identifier: identifier, GivenName: "María", Surnames: "Pérez", Phone: "612345678", Email: "maria@example.org", DocumentUntil: "2031-05-20",
	}})
	if err != nil || receipt == nil || receipt.ActivationCode == "" {
		t.Fatalf("got %+v %v, want a receipt", receipt, err)
	}
	reason := "A petición propia."
	receipt, err = office.Perform(t.Context(), client.OfficeAct{Act: client.ActBlock, Officer: "Rosa Gil", Identifier: &identifier, Reason: &reason})
	if err != nil || receipt != nil {
		t.Errorf("got %+v %v, want no receipt", receipt, err)
	}
	_, err = office.Perform(t.Context(), client.OfficeAct{Act: client.ActBlock, Officer: "Rosa Gil", Identifier: &identifier})
	if problem, ok := errors.AsType[*client.Problem](err); !ok || problem.Code != string(policies.OfficeActInvalid) {
		t.Errorf("without a reason: got %v, want office_act_invalid", err)
	}

	desk := acceptAll(t, key, h.url)
	ids := map[string]bool{}
	for _, a := range h.memory.acts {
		s, err := desk.Accept(t.Context(), a)
		if err != nil {
			t.Errorf("got %v, want the client's act accepted", err)
		}
		ids[s.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("got ids %v, want one for each act", ids)
	}

	_, other := officeKey(t, elliptic.P384())
	for name, text := range map[string]string{"P-384": other, "no PEM": "-----", "nothing": "", "no key": strings.Replace(text, "M", "N", 1)} {
		if _, err := client.ConnectOffice(client.Account{}, text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want an error that does not repeat it", name, err)
		}
	}
}

// TestDocumentedShell runs what docs/api.md gives integrators to copy, often
// enough for an R or an S that is shorter than others.
func TestDocumentedShell(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, shell, _ := strings.Cut(string(text), "```sh\n# act reads")
	shell, _, found := strings.Cut("# act reads"+shell, "```")
	if !found {
		t.Fatal("docs/api.md has no function act")
	}
	key, private := officeKey(t, elliptic.P256())
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "office.pem"), []byte(private), 0o600); err != nil {
		t.Fatal(err)
	}
	const times = 40
	payload := fmt.Sprintf(`{"iss":"office","aud":"https://firma.example.es","iat":%d,"jti":"0123456789abcdef0123456789abcdef",`+
		`"act":"block","officer":"Rosa Gil","identifier":"12345678Z","reason":"Ñandú."}`, time.Now().Unix())
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", shell+`for i in $(seq "$2"); do printf %s "$1" | act; echo; done`, "bash",
		payload, strconv.Itoa(times))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running the shell: %v", err)
	}
	acts := strings.Fields(string(out))
	if len(acts) != times {
		t.Fatalf("got %d acts, want %d", len(acts), times)
	}
	desk := acceptAll(t, key, "https://firma.example.es")
	for _, jws := range acts {
		if _, err := desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: jws}); err != nil {
			t.Errorf("%s: got %v, want it accepted", jws, err)
		}
	}
}

func TestOfficeClientWithoutService(t *testing.T) {
	t.Parallel()
	_, text := officeKey(t, elliptic.P256())
	away := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })}
	office, err := client.ConnectOffice(client.Account{BaseURL: "http://localhost", HTTP: away}, text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := office.Perform(t.Context(), client.OfficeAct{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want the transport's error", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return r(q) }

// acceptAll is the signer's desk with one office in it, for acts that come once.
func acceptAll(t *testing.T, key *ecdsa.PrivateKey, audience string) citizen.Desk {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return citizen.Desk{
		Offices: oneOffice{citizen.Office{
			ID: "office", Name: "Oficina", Scopes: []string{"registration"}, Enabled: true, PublicKey: der,
		}},
		Seals: unsealed{}, Audience: audience, Now: time.Now,
	}
}

type oneOffice struct{ office citizen.Office }

func (o oneOffice) Office(context.Context, string) (citizen.Office, error) { return o.office, nil }

func (oneOffice) RecordAct(context.Context, citizen.Statement, time.Time) error { return nil }

type unsealed struct{}

func (unsealed) Seal(context.Context, string, ...string) (int, []byte, error) { return 1, nil, nil }

func (unsealed) CheckSeal(context.Context, int, []byte, string, ...string) error { return nil }
