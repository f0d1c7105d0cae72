package oauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const (
	issuer   = "https://firma.example.es"
	callback = "https://sede.example.es/vuelta?paso=2"
	verifier = "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFG._~"
	secret   = "a secret of the sede + more"
)

var sharedWords = sync.OnceValues(catalogue.New)

// house is an authorisation server over a database of its own.
type house struct {
	*testing.T
	db      pgtest.Database
	owner   *store.DB
	public  store.Public
	server  *oauth.Server
	handler http.Handler
	asked   *orders
	shown   *journal
	ahead   time.Duration // of the real clock
}

// orders is what becomes of authorisation requests for signatures.
type orders struct {
	mu     sync.Mutex
	house  *house
	last   oauth.Order
	refuse error
}

func (o *orders) Open(ctx context.Context, order oauth.Order) (oauth.Opened, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last = order; o.refuse != nil {
		return oauth.Opened{}, o.refuse
	}
	id := "S" + rand.Text()
	o.house.run(ctx, `
		INSERT INTO requests (id, application_id, identifier, title, locale, return_url, idempotency_key, body_hash, created_at, expires_at)
		VALUES ($1, $2, '12345678Z', 'x', 'es', $3, $4, 'x', now(), now() + interval '1 hour')`, id, order.Client.ID, order.ReturnURL, order.Key)
	return oauth.Opened{RequestID: id, CredentialID: "cred-1", Subject: "citizen-1"}, nil
}

// consents records what citizens let applications see.
type consents struct {
	house *house
	last  signer.ConsentOrder
}

func (c *consents) Consent(ctx context.Context, o signer.ConsentOrder) (string, error) {
	c.last = o
	c.house.run(ctx, `
		INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
		VALUES ('somebody', '12345678Z', 'María', 'Núñez', '+34600000421', 'maria@example.es', 'es', 'active', now() + interval '1 year', now())
		ON CONFLICT DO NOTHING`)
	id := rand.Text()
	c.house.run(ctx, `
		INSERT INTO service_consents (id, citizen_id, application_id, scopes, given_at)
		VALUES ($1, 'somebody', $2, $3, now())`, id, o.ApplicationID, o.Scopes)
	return id, nil
}

type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func build(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, db: pgtest.New(t, store.Migrate), shown: &journal{}}
	h.asked = &orders{house: h}
	open := func(url string) *store.DB {
		opened, err := store.Open(t.Context(), url)
		h.must(err)
		t.Cleanup(opened.Close)
		return opened
	}
	h.owner, h.public = open(h.db.Owner), store.ForPublic(open(h.db.API))
	now := func() time.Time { return time.Now().Add(h.ahead) }
	var err error
	h.server, err = oauth.New(oauth.Config{
		Issuer: issuer, Store: h.public, Requests: h.asked, Consents: &consents{house: h}, SigningPath: "/firma/", ConsentPath: "/autorizar/",
		Certificate: oauth.ClientCertificate("Client-Cert", []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}),
		Logger:      slog.New(slog.DiscardHandler), Now: now,
	})
	h.must(err)
	words, err := sharedWords()
	h.must(err)
	limits := api.DefaultLimits()
	limits.Tokens, limits.Attempts = api.Rate{Every: time.Millisecond, Burst: 1e6}, api.Rate{Every: time.Millisecond, Burst: 1e6}
	limits.Drain = 1 << 20
	h.handler, err = api.New(api.Config{
		PublicURL: issuer, Catalogue: words, Authority: h.server, Limits: limits, Now: now,
		Logger: slog.New(slog.NewTextHandler(h.shown, nil)),
		Rooms: []func(*api.Site){h.server.Room, h.door(now).Room, func(s *api.Site) {
			s.Door("/whoami").GET("/whoami", func(c echo.Context) error {
				g, err := s.Grant(c)
				if err != nil {
					return err
				}
				g.Token = ""
				return c.JSON(http.StatusOK, g)
			})
		}},
	})
	h.must(err)
	return h
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// sql is what the owner of the database may do.
func (h *house) sql(statement string, args ...any) {
	h.Helper()
	h.run(h.Context(), statement, args...)
}

func (h *house) run(ctx context.Context, statement string, args ...any) {
	h.Helper()
	conn, err := pgx.Connect(ctx, h.db.Owner)
	h.must(err)
	defer conn.Close(ctx) //nolint:errcheck // a test's
	_, err = conn.Exec(ctx, statement, args...)
	h.must(err)
}

// app is an application with all that it can show itself by.
type app struct {
	signer.Client
	key         *ecdsa.PrivateKey // of assertions, and of proofs
	certificate *x509.Certificate
}

// add registers an application of the FAPI profile, changed as the test needs.
func (h *house) add(id string, change func(*signer.Client)) app {
	h.Helper()
	a := app{
		ID: id, Name: "Sede " + id, Organisation: "Ayuntamiento",
		Scopes: []string{api.ScopeSignature, api.ScopeService, api.ScopeCredential}, ReturnAddresses: []string{callback},
		SecretHash: api.SecretHash(secret),
	}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.must(err)
	jwk, err := jose.JSONWebKey{Key: a.key.Public(), KeyID: "k-" + id, Algorithm: "ES256", Use: "sig"}.MarshalJSON()
	h.must(err)
	a.certificate = h.certificate(a.key)
	sum := sha256.Sum256(a.certificate.Raw)
	from, until := time.Now().Add(-time.Hour), time.Now().Add(48*time.Hour)
	a.Keys = []signer.ClientKey{{ID: "k-" + id, JWK: jwk, NotBefore: from, NotAfter: until}}
	a.Certificates = []signer.ClientCertificate{{SHA256: sum[:], DER: a.certificate.Raw, NotBefore: from, NotAfter: until}}
	if change != nil {
		change(&a.Client)
	}
	h.must(h.owner.AddApplication(h.Context(), a.Client, time.Now()))
	return a
}

func (h *house) certificate(key *ecdsa.PrivateKey) *x509.Certificate {
	h.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sede"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	h.must(err)
	certificate, err := x509.ParseCertificate(der)
	h.must(err)
	return certificate
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (r reply) text(name string) string { s, _ := r.json[name].(string); return s }

// ask does a request. Headers are name, value, name, value.
func (h *house) ask(method, target string, form url.Values, headers ...string) reply {
	h.Helper()
	body := io.Reader(nil)
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(h.Context(), method, target, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return replyOf(w)
}

// replyOf reads the JSON of an answer; a page has none.
func replyOf(w *httptest.ResponseRecorder) reply {
	out := reply{status: w.Code, header: w.Header(), body: w.Body.String()}
	_ = json.Unmarshal([]byte(out.body), &out.json)
	return out
}

// sign makes a JWT.
func (h *house) sign(key crypto.Signer, header map[string]any, claims map[string]any) string {
	h.Helper()
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, value := range header {
		options.ExtraHeaders[jose.HeaderKey(name)] = value
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	h.must(err)
	out, err := jwt.Signed(s).Claims(claims).Serialize()
	h.must(err)
	return out
}

// claims are those of a good assertion.
func (a app) claims() map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": a.ID, "sub": a.ID, "aud": issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
}

// asserted adds an assertion to a form.
func (h *house) asserted(a app, form url.Values) url.Values {
	h.Helper()
	form.Set("client_id", a.ID)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", h.sign(a.key, map[string]any{"kid": "k-" + a.ID}, a.claims()))
	return form
}

// proof is a DPoP proof of a request, for a token if there is one.
func (h *house) proof(a app, method, uri, token string) string {
	h.Helper()
	claims := map[string]any{"htm": method, "htu": uri, "jti": rand.Text(), "iat": time.Now().Unix()}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return h.proofOf(a, claims)
}

func (h *house) proofOf(a app, claims map[string]any) string {
	h.Helper()
	return h.sign(a.key, map[string]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: a.key.Public()}}, claims)
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// details are those of one hash.
func details(credential string) string {
	hash := base64.StdEncoding.EncodeToString(make([]byte, 32))
	return `[{"type":"credential","credentialID":"` + credential + `","documentDigests":[{"hash":"` + hash + `","label":"Solicitud"}],"hashAlgorithmOID":"` + signer.SHA256 + `"}]`
}

// asking are the parameters of an authorisation request.
func asking(scope string) url.Values {
	v := url.Values{
		"response_type": {"code"}, "redirect_uri": {callback}, "scope": {scope}, "state": {"estado"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	if scope == api.ScopeCredential {
		v.Set("authorization_details", details("cred-1"))
	}
	return v
}

// push hands an authorisation request in, and gives its URI.
func (h *house) push(a app, v url.Values) string {
	h.Helper()
	r := h.ask(http.MethodPost, "/oauth/par", h.asserted(a, v))
	if r.status != http.StatusCreated {
		h.Fatalf("pushing: got %d %s", r.status, r.body)
	}
	return r.text("request_uri")
}

// begin sends the citizen, and gives the id of the page where they arrive.
func (h *house) begin(a app, uri, path string) string {
	h.Helper()
	r := h.ask(http.MethodGet, "/oauth/authorize?"+url.Values{"client_id": {a.ID}, "request_uri": {uri}}.Encode(), nil)
	id, ok := strings.CutPrefix(r.header.Get("Location"), path)
	if r.status != http.StatusSeeOther || !ok {
		h.Fatalf("authorising: got %d %s %s, want a page below %s", r.status, r.header.Get("Location"), r.body, path)
	}
	return id
}

// codeOf reads what comes back to the application.
func (h *house) codeOf(address string) string {
	h.Helper()
	u, err := url.Parse(address)
	h.must(err)
	q := u.Query()
	if u.Host != "sede.example.es" || u.Path != "/vuelta" || q.Get("paso") != "2" || q.Get("state") != "estado" || q.Get("iss") != issuer || q.Get("code") == "" {
		h.Fatalf("got %s, want the application's address with code, state and iss", address)
	}
	return q.Get("code")
}

// service is a code for scope service.
func (h *house) service(a app) string {
	h.Helper()
	id := h.begin(a, h.push(a, asking(api.ScopeService)), "/autorizar/")
	address, err := h.server.Agree(h.Context(), id, signer.Citizen{ID: "citizen-1", Identifier: "12345678Z"}, signer.NewTicket())
	h.must(err)
	return h.codeOf(address)
}

func redeeming(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
}

// redeem asks for a token with a DPoP proof.
func (h *house) redeem(a app, form url.Values) reply {
	h.Helper()
	return h.ask(http.MethodPost, "/oauth/token", h.asserted(a, form), "DPoP", h.proof(a, http.MethodPost, issuer+"/oauth/token", ""))
}

// whoami shows a token that is bound to a key.
func (h *house) whoami(a app, token string) reply {
	h.Helper()
	return h.ask(http.MethodGet, "/whoami", nil, "Authorization", "DPoP "+token, "DPoP", h.proof(a, http.MethodGet, issuer+"/whoami", token))
}

func wantError(t *testing.T, what string, r reply, status int, code string) {
	t.Helper()
	if r.status != status || r.text("error") != code {
		t.Errorf("%s: got %d %s, want %d %s", what, r.status, r.body, status, code)
	}
}

func errCredential() error { return policies.Refuse(policies.CredentialMissing) }

// row reads one row as the owner.
func (h *house) row(statement string, args ...any) func(to ...any) {
	return func(to ...any) {
		h.Helper()
		conn, err := pgx.Connect(h.Context(), h.db.Owner)
		h.must(err)
		defer conn.Close(h.Context()) //nolint:errcheck // a test's
		h.must(conn.QueryRow(h.Context(), statement, args...).Scan(to...))
	}
}
